package pointsman.bridge;

/** A record to be written. */
public final class Output {
    /** A header's name and value. */
    public static final class Header {
        public final String name;
        public final byte[] value;

        public Header(String name, byte[] value) {
            this.name = name;
            this.value = value;
        }
    }

    static final Header[] NO_HEADERS = {};

    public final String topic;

    /** -1: by key, as Java's clients do. */
    public final int partition;

    /** Milliseconds since 1970; -1: now. */
    public final long timestamp;

    public final byte[] key;
    public final byte[] value;
    public final Header[] headers;

    public Output(String topic, int partition, long timestamp, byte[] key, byte[] value, Header[] headers) {
        this.topic = topic;
        this.partition = partition;
        this.timestamp = timestamp;
        this.key = key;
        this.value = value;
        this.headers = headers;
    }
}
