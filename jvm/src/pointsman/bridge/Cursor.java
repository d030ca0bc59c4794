package pointsman.bridge;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Reads a frame from its kind byte on. */
final class Cursor {
    final byte[] bytes;
    int at;

    /** Raises where the frame is not of that kind and of this version. */
    Cursor(byte[] bytes, char kind) {
        this.bytes = bytes;
        if (bytes.length < 2 || bytes[0] != kind || bytes[1] != Records.VERSION) {
            String found = bytes.length < 2 ? "nothing" : (char) bytes[0] + " of version " + bytes[1];
            throw new IllegalArgumentException("a frame of kind " + kind + " was expected, and came " + found);
        }
        at = 2;
    }

    int number16() {
        int found = (short) Numbers.SHORT.get(bytes, at) & 0xffff;
        at += 2;
        return found;
    }

    int number32() {
        int found = (int) Numbers.INT.get(bytes, at);
        at += 4;
        return found;
    }

    /** So many bytes; null for a length of -1. */
    byte[] bytes(int length) {
        if (length < 0) {
            return null;
        }
        byte[] found = Arrays.copyOfRange(bytes, at, at + length);
        at += length;
        return found;
    }

    String name(int length) {
        String found = new String(bytes, at, length, StandardCharsets.UTF_8);
        at += length;
        return found;
    }

    String[] names(int count) {
        String[] found = new String[count];
        for (int n = 0; n < count; n++) {
            found[n] = name(number16());
        }
        return found;
    }
}
