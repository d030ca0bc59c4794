package pointsman.bridge;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads a frame 'E': what Python made of a frame of records.
 *
 * <p>Layout, little endian: kind, version, u16 topics, i32 records, u16 stores, u16 zero, i32 changes,
 * i32 events; names of topics, names of stores; columns of the records: topic (u16), partition (i32; -1 by
 * key), timestamp (i64; -1 now), lengths of key, value, headers (i32); columns of the changes: store (u16),
 * partition (i32), lengths of key and value (i32; -1 deletes); then the records' and the changes' bytes.
 */
public final class Effects {
    /** Told each record, then each change, in order. */
    public interface Reader {
        void record(Output output);

        /**
         * A change of state.
         *
         * @param value null deletes
         */
        void change(String store, int partition, byte[] key, byte[] value);
    }

    /** How many records are to be written. */
    public final int records;

    /** How many changes of state there are. */
    public final int changes;

    /** How many events were decided. */
    public final int events;

    private final Cursor cursor;
    private final String[] topics;
    private final String[] stores;
    private final int columns;

    /** Reads the head; raises IllegalArgumentException where it is no such frame. */
    public Effects(byte[] frame) {
        cursor = new Cursor(frame, 'E');
        int topicCount = cursor.number16();
        records = cursor.number32();
        int storeCount = cursor.number16();
        cursor.at += 2;
        changes = cursor.number32();
        events = cursor.number32();
        topics = cursor.names(topicCount);
        stores = cursor.names(storeCount);
        columns = cursor.at;
    }

    /** Walks over all of it. */
    public void read(Reader reader) {
        int partition = columns + 2 * records;
        int timestamp = partition + 4 * records;
        int key = timestamp + 8 * records;
        int value = key + 4 * records;
        int headers = value + 4 * records;
        int store = headers + 4 * records;
        cursor.at = store + 14 * changes;
        for (int n = 0; n < records; n++) {
            reader.record(new Output(
                    topics[short16(columns + 2 * n)],
                    int32(partition + 4 * n),
                    (long) Numbers.LONG.get(cursor.bytes, timestamp + 8 * n),
                    cursor.bytes(int32(key + 4 * n)),
                    cursor.bytes(int32(value + 4 * n)),
                    headers(int32(headers + 4 * n))));
        }
        partition = store + 2 * changes;
        key = partition + 4 * changes;
        value = key + 4 * changes;
        for (int n = 0; n < changes; n++) {
            reader.change(
                    stores[short16(store + 2 * n)],
                    int32(partition + 4 * n),
                    cursor.bytes(int32(key + 4 * n)),
                    cursor.bytes(int32(value + 4 * n)));
        }
    }

    private int short16(int at) {
        return (short) Numbers.SHORT.get(cursor.bytes, at) & 0xffff;
    }

    private int int32(int at) {
        return (int) Numbers.INT.get(cursor.bytes, at);
    }

    private Output.Header[] headers(int length) {
        if (length <= 0) {
            return Output.NO_HEADERS;
        }
        List<Output.Header> found = new ArrayList<>();
        for (int end = cursor.at + length; cursor.at < end; ) {
            String name = cursor.name(cursor.number32());
            found.add(new Output.Header(name, cursor.bytes(cursor.number32())));
        }
        return found.toArray(Output.NO_HEADERS);
    }
}
