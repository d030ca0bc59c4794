package pointsman.bridge;

/**
 * Reads a frame 'F', which asks for the state of keys, and makes the frame 'S' that answers it; or a frame 'W',
 * which asks for the next keys of a walk over all of them, and makes the frame 'N' with their names.
 *
 * <p>'F', little endian: kind, version, name of the store, i32 partition, i32 keys, their lengths (i32), the
 * keys, each with the NUL that ends it in the changelog. 'S': kind, version, u16 zero, i32 keys, slots of each
 * key (i32), i32 slots in all, their numbers (u16), lengths of their values (i32), the values. 'W': kind, version, name of the store, i32 partition, i32 most keys.
 * 'N': kind, version, u16 zero, i32 keys, their lengths (i32), the keys with their NUL; none: the walk is over, and
 * the next one begins anew.
 */
public final class Fetch {
    /** Finds what is remembered. */
    public interface Finder {
        /**
         * Tells each changelog key that begins with `prefix`, and its value, in the order of the keys.
         *
         * @param prefix a key of state with its NUL
         */
        void find(String store, int partition, byte[] prefix, Found found);

        /** Tells the next keys of a walk over a store, each with its NUL, about `most`; none ends the walk. */
        void walk(String store, int partition, int most, Named named);
    }

    /** Told what keys there are. */
    public interface Named {
        void key(byte[] prefix);
    }

    /** Told what is found. */
    public interface Found {
        void slot(byte[] key, byte[] value);
    }

    private Fetch() {}

    /** Whether a frame asks for state. */
    public static boolean asks(byte[] frame) {
        return frame[0] == 'F' || frame[0] == 'W';
    }

    /** The frame 'S' for a frame 'F', the frame 'N' for a frame 'W'. */
    public static byte[] answer(byte[] frame, Finder finder) {
        return frame[0] == 'W' ? names(frame, finder) : slots(frame, finder);
    }

    private static byte[] names(byte[] frame, Finder finder) {
        Cursor cursor = new Cursor(frame, 'W');
        String store = cursor.name(cursor.number16());
        int partition = cursor.number32();
        Buffer sizes = new Buffer(512);
        Buffer keys = new Buffer(1 << 14);
        finder.walk(store, partition, cursor.number32(), prefix -> {
            sizes.putInt(prefix.length);
            keys.put(prefix);
        });
        Buffer answer = new Buffer(8 + sizes.size() + keys.size());
        answer.putByte('N');
        answer.putByte(Records.VERSION);
        answer.putShort(0);
        answer.putInt(sizes.size() / 4);
        answer.put(sizes);
        answer.put(keys);
        return answer.take();
    }

    private static byte[] slots(byte[] frame, Finder finder) {
        Cursor cursor = new Cursor(frame, 'F');
        String store = cursor.name(cursor.number16());
        int partition = cursor.number32();
        int keys = cursor.number32();
        int[] lengths = new int[keys];
        for (int n = 0; n < keys; n++) {
            lengths[n] = cursor.number32();
        }
        Buffer counts = new Buffer(4 * keys);
        Buffer slots = new Buffer(256);
        Buffer sizes = new Buffer(512);
        Buffer values = new Buffer(1 << 14);
        for (int n = 0; n < keys; n++) {
            byte[] prefix = cursor.bytes(lengths[n]);
            int before = slots.size();
            finder.find(store, partition, prefix, (key, value) -> {
                if (key.length == prefix.length + 2) { // not another key that goes on behind a NUL of its own
                    slots.putShort((key[key.length - 2] & 0xff) << 8 | key[key.length - 1] & 0xff);
                    sizes.putInt(value.length);
                    values.put(value);
                }
            });
            counts.putInt((slots.size() - before) / 2);
        }
        Buffer answer = new Buffer(12 + counts.size() + slots.size() + sizes.size() + values.size());
        answer.putByte('S');
        answer.putByte(Records.VERSION);
        answer.putShort(0);
        answer.putInt(keys);
        answer.put(counts);
        answer.putInt(slots.size() / 2);
        answer.put(slots);
        answer.put(sizes);
        answer.put(values);
        return answer.take();
    }
}
