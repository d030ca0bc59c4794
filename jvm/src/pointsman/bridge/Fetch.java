package pointsman.bridge;

/**
 * Reads a frame 'F', which asks for the state of keys, and makes the frame 'S' that answers it.
 *
 * <p>'F', little endian: kind, version, name of the store, i32 partition, i32 keys, their lengths (i32), the
 * keys, each with the NUL that ends it in the changelog. 'S': kind, version, u16 zero, i32 keys, slots of each
 * key (i32), i32 slots in all, their numbers (u16), lengths of their values (i32), the values.
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
    }

    /** Told what is found. */
    public interface Found {
        void slot(byte[] key, byte[] value);
    }

    private Fetch() {}

    /** The frame 'S' for a frame 'F'. */
    public static byte[] answer(byte[] frame, Finder finder) {
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
