package pointsman.streams;

/** When a frame is decided. */
final class Pace {
    final int records;
    final int bytes;
    final long waitMs;

    /**
     * Of a frame that is decided at once.
     *
     * @param waitMs how long one that is smaller waits for more
     */
    Pace(int records, int bytes, long waitMs) {
        this.records = records;
        this.bytes = bytes;
        this.waitMs = waitMs;
    }
}
