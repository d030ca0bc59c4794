package pointsman.streams;

import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.BytesSerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.errors.StreamsException;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.processor.internals.ProcessorNode;
import org.apache.kafka.streams.processor.internals.ProcessorRecordContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import pointsman.bridge.Effects;
import pointsman.bridge.Fetch;
import pointsman.bridge.Output;
import pointsman.bridge.Records;

/**
 * Collects a task's records into frames, has Python decide them, and publishes what it says.
 *
 * <p>A frame is decided when it is full, when it has waited long enough, and before each commit.
 */
final class Decide implements Processor<byte[], byte[], byte[], Output>, Effects.Reader, Fetch.Finder {
    private static final Serializer<Bytes> AS_THEY_ARE = new BytesSerializer();

    private final Records records = new Records();
    private final Map<String, KeyValueStore<Bytes, byte[]>> stores = new HashMap<>();
    private final Map<String, Bytes> walks = new HashMap<>();
    private final Set<String> storeNames;
    private final Seats seats;
    private final Pace pace;
    private final Progress progress;
    private InternalProcessorContext<byte[], Output> context;
    private ProcessorNode<?, ?, ?, ?> node;
    private ProcessorRecordContext last;
    private Seat seat;
    private int partition;
    private long now;
    private boolean broken;

    Decide(Seats seats, Set<String> storeNames, Pace pace, Progress progress) {
        this.seats = seats;
        this.storeNames = storeNames;
        this.pace = pace;
        this.progress = progress;
    }

    /** May come again, after the task's state was found to be broken. */
    @Override
    public void init(ProcessorContext<byte[], Output> given) {
        context = (InternalProcessorContext<byte[], Output>) given;
        node = context.currentNode();
        partition = context.taskId().partition();
        forget();
        broken = false;
        for (String name : storeNames) {
            stores.put(name, context.getStateStore(name));
        }
        Gate gate = context.getStateStore(Gate.NAME);
        gate.flush = this::flush;
        seat = seats.mine();
        seat.begin(partition);
        context.schedule(Duration.ofMillis(pace.waitMs), PunctuationType.WALL_CLOCK_TIME, at -> flush());
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        last = context.recordContext();
        long timestamp = record.timestamp() - Timestamps.SHIFT;
        records.add(last.topic(), last.partition(), last.offset(), timestamp, record.key(), record.value());
        for (Header header : record.headers()) {
            records.header(header.key(), header.value());
        }
        if (records.size() == 1) {
            progress.buffered(1);
        }
        if (records.size() >= pace.records || records.bytes() >= pace.bytes) {
            flush();
        }
    }

    @Override
    public void close() {
        forget(); // what was to be committed has been decided
        seat.end(partition);
    }

    /** Decides what is buffered; nothing where that failed before, as the task then ends without a commit. */
    private void flush() {
        if (records.size() == 0 || broken) {
            return;
        }
        broken = true;
        ProcessorNode<?, ?, ?, ?> nodeBefore = context.currentNode();
        ProcessorRecordContext recordBefore = context.recordContext();
        context.setCurrentNode(node); // before a commit there is none
        context.setRecordContext(last);
        try {
            now = System.currentTimeMillis();
            byte[] frame = records.take(now);
            progress.buffered(-1);
            new Effects(seat.handle(frame, this)).read(this);
            progress.decided();
        } catch (org.apache.kafka.common.errors.TimeoutException error) {
            // As it is, Kafka Streams would offer the record or the commit again, and half of the frame is out.
            throw new StreamsException("a frame could not be written in time", error);
        } finally {
            context.setRecordContext(recordBefore);
            context.setCurrentNode(nodeBefore);
        }
        broken = false;
    }

    private void forget() {
        if (records.size() > 0) {
            records.clear();
            progress.buffered(-1);
        }
    }

    @Override
    public void record(Output output) {
        RecordHeaders headers = new RecordHeaders();
        for (Output.Header header : output.headers) {
            headers.add(header.name, header.value);
        }
        long timestamp = output.timestamp < 0 ? now : output.timestamp;
        context.forward(new Record<>(output.key, output, timestamp, headers));
    }

    @Override
    public void change(String store, int number, byte[] key, byte[] value) {
        if (number != partition) {
            throw new IllegalStateException(
                    "a change of partition " + number + " of " + store + " came from partition " + partition);
        }
        stores.get(store).put(Bytes.wrap(key), value);
    }

    @Override
    public void find(String store, int number, byte[] prefix, Fetch.Found found) {
        if (number != partition) {
            throw new IllegalStateException(
                    "partition " + partition + " asked for state of partition " + number + " of " + store);
        }
        try (KeyValueIterator<Bytes, byte[]> rows =
                stores.get(store).prefixScan(Bytes.wrap(prefix), AS_THEY_ARE)) {
            while (rows.hasNext()) {
                KeyValue<Bytes, byte[]> row = rows.next();
                found.slot(row.key.get(), row.value);
            }
        }
    }

    @Override
    public void walk(String store, int number, int most, Fetch.Named named) {
        Bytes from = walks.get(store); // what was told last; rows behind it are the next
        byte[] name = from == null ? null : named(from);
        int told = 0;
        try (KeyValueIterator<Bytes, byte[]> rows = stores.get(store).range(from, null)) {
            while (rows.hasNext()) {
                Bytes row = rows.next().key;
                byte[] key = named(row);
                if (Arrays.equals(key, name)) {
                    continue;
                }
                if (told == most) {
                    return;
                }
                named.key(key);
                name = key;
                told++;
                walks.put(store, row);
            }
        }
        if (told == 0) {
            walks.remove(store);
        }
    }

    /** The key of state of a row, with its NUL. */
    private static byte[] named(Bytes row) {
        return Arrays.copyOf(row.get(), row.get().length - 2);
    }
}
