package pointsman.bridge;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Collects records into a frame 'R', which goes to Python at once.
 *
 * <p>Layout, little endian: kind, version, u16 topics, i32 records, i64 now; the topics' names; a column each
 * of topic (u16), partition (i32), offset (i64), timestamp (i64), and of the lengths of key, value and
 * headers (i32; -1 is null); then each record's key, value and headers.
 */
public final class Records {
    static final int VERSION = 1;

    private final List<String> topics = new ArrayList<>();
    private final Buffer body = new Buffer(1 << 16);
    private short[] topic = new short[256];
    private int[] partition = new int[256];
    private long[] offset = new long[256];
    private long[] timestamp = new long[256];
    private int[] keyLength = new int[256];
    private int[] valueLength = new int[256];
    private int[] headersLength = new int[256];
    private int size;

    /** How many records are collected. */
    public int size() {
        return size;
    }

    /** Bytes of keys, values and headers that are collected. */
    public int bytes() {
        return body.size();
    }

    /**
     * Adds a record; its headers follow by {@link #header}.
     *
     * @param timestamp milliseconds since 1970; -1 where there is none
     */
    public void add(String topic, int partition, long offset, long timestamp, byte[] key, byte[] value) {
        if (size == this.topic.length) {
            grow();
        }
        this.topic[size] = (short) number(topic);
        this.partition[size] = partition;
        this.offset[size] = offset;
        this.timestamp[size] = timestamp;
        keyLength[size] = put(key);
        valueLength[size] = put(value);
        headersLength[size] = 0;
        size++;
    }

    /** Adds a header to the record that was added last. */
    public void header(String name, byte[] value) {
        int before = body.size();
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        body.putInt(text.length);
        body.put(text);
        body.putInt(value == null ? -1 : value.length);
        if (value != null) {
            body.put(value);
        }
        headersLength[size - 1] += body.size() - before;
    }

    /**
     * The frame of all that was collected; collects from the beginning then.
     *
     * @param nowMs milliseconds since 1970
     */
    public byte[] take(long nowMs) {
        Buffer frame = new Buffer(16 + 64 * topics.size() + 34 * size + body.size());
        frame.putByte('R');
        frame.putByte(VERSION);
        frame.putShort(topics.size());
        frame.putInt(size);
        frame.putLong(nowMs);
        topics.forEach(frame::putName);
        for (int n = 0; n < size; n++) frame.putShort(topic[n]);
        put(frame, partition);
        put(frame, offset);
        put(frame, timestamp);
        put(frame, keyLength);
        put(frame, valueLength);
        put(frame, headersLength);
        frame.put(body);
        clear();
        return frame.take();
    }

    /** Forgets what was collected. */
    public void clear() {
        size = 0;
        topics.clear();
        body.clear();
    }

    private int number(String name) {
        for (int n = topics.size() - 1; n >= 0; n--) { // the newest first: runs are of one topic
            if (topics.get(n).equals(name)) {
                return n;
            }
        }
        topics.add(name);
        return topics.size() - 1;
    }

    private int put(byte[] part) {
        if (part == null) {
            return -1;
        }
        body.put(part);
        return part.length;
    }

    private void put(Buffer frame, int[] column) {
        for (int n = 0; n < size; n++) frame.putInt(column[n]);
    }

    private void put(Buffer frame, long[] column) {
        for (int n = 0; n < size; n++) frame.putLong(column[n]);
    }

    private void grow() {
        int more = 2 * size;
        topic = Arrays.copyOf(topic, more);
        partition = Arrays.copyOf(partition, more);
        offset = Arrays.copyOf(offset, more);
        timestamp = Arrays.copyOf(timestamp, more);
        keyLength = Arrays.copyOf(keyLength, more);
        valueLength = Arrays.copyOf(valueLength, more);
        headersLength = Arrays.copyOf(headersLength, more);
    }
}
