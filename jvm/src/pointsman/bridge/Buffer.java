package pointsman.bridge;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Bytes that grow, written little endian. */
final class Buffer {
    private byte[] bytes;
    private int size;

    Buffer(int capacity) {
        bytes = new byte[capacity];
    }

    int size() {
        return size;
    }

    void clear() {
        size = 0;
    }

    void put(byte[] more) {
        room(more.length);
        System.arraycopy(more, 0, bytes, size, more.length);
        size += more.length;
    }

    void putByte(int value) {
        room(1);
        bytes[size++] = (byte) value;
    }

    void putShort(int value) {
        room(2);
        bytes[size++] = (byte) value;
        bytes[size++] = (byte) (value >> 8);
    }

    void putInt(int value) {
        room(4);
        Numbers.INT.set(bytes, size, value);
        size += 4;
    }

    void putLong(long value) {
        room(8);
        Numbers.LONG.set(bytes, size, value);
        size += 8;
    }

    /** A name with its length in front. */
    void putName(String name) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        putShort(text.length);
        put(text);
    }

    void put(Buffer other) {
        room(other.size);
        System.arraycopy(other.bytes, 0, bytes, size, other.size);
        size += other.size;
    }

    byte[] take() {
        return Arrays.copyOf(bytes, size);
    }

    private void room(int more) {
        if (more > bytes.length - size) {
            long wanted = Math.max((long) size + more, 2L * bytes.length);
            if ((long) size + more > Integer.MAX_VALUE - 8) {
                throw new IllegalStateException("a frame would be larger than 2 GiB");
            }
            bytes = Arrays.copyOf(bytes, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
        }
    }
}
