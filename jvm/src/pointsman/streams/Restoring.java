package pointsman.streams;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** Which partitions read their state from the changelogs, and how long that took. */
final class Restoring implements StateRestoreListener {
    private static final class Begun {
        final long at = System.nanoTime();
        volatile long left;
    }

    private final Map<TopicPartition, Begun> open = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<String> done = new ConcurrentLinkedQueue<>();

    @Override
    public void onRestoreStart(TopicPartition place, String store, long from, long end) {
        Begun begun = new Begun();
        begun.left = end - from;
        open.put(place, begun);
    }

    @Override
    public void onBatchRestored(TopicPartition place, String store, long last, long records) {
        Begun begun = open.get(place);
        if (begun != null) {
            begun.left = Math.max(0, begun.left - records);
        }
    }

    @Override
    public void onRestoreEnd(TopicPartition place, String store, long records) {
        Begun begun = open.remove(place);
        if (begun != null) {
            done.add(place.partition() + " " + records + " " + (System.nanoTime() - begun.at) / 1e9);
        }
    }

    @Override
    public void onRestoreSuspended(TopicPartition place, String store, long records) {
        open.remove(place);
    }

    /** How many partitions are open, and how many records are left, by estimate. */
    long[] open() {
        return new long[] {open.size(), open.values().stream().mapToLong(begun -> begun.left).sum()};
    }

    /** The next that is done: its partition, records and seconds; null where there is none. */
    String take() {
        return done.poll();
    }
}
