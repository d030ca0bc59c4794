package pointsman.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import pointsman.bridge.Records;

/**
 * Collects records into frames, one for each partition number, and keys them.
 *
 * <p>What is collected goes on when it is enough, after a while, before each checkpoint and at the end, so a
 * checkpoint's offsets are never beyond what was handed on.
 */
final class Framing extends AbstractStreamOperator<Tuple2<Integer, byte[]>>
        implements OneInputStreamOperator<ConsumerRecord<byte[], byte[]>, Tuple2<Integer, byte[]>> {
    private static final long serialVersionUID = 1;

    private final int most;
    private final int mostBytes;
    private final int patience;
    private final int partitions;
    private final int groups;

    private transient Map<Integer, Open> open;
    private transient boolean waits;

    /** The frame of a partition that is being collected. */
    private static final class Open {
        final Records records = new Records();
        final int key;

        Open(int key) {
            this.key = key;
        }
    }

    /**
     * @param most records of a frame
     * @param mostBytes bytes of a frame, about
     * @param patience milliseconds that a record waits for others
     * @param partitions of the source
     * @param groups of keys
     */
    Framing(int most, int mostBytes, int patience, int partitions, int groups) {
        this.most = most;
        this.mostBytes = mostBytes;
        this.patience = patience;
        this.partitions = partitions;
        this.groups = groups;
    }

    @Override
    public void open() throws Exception {
        super.open();
        open = new HashMap<>();
    }

    @Override
    public void processElement(StreamRecord<ConsumerRecord<byte[], byte[]>> element) {
        ConsumerRecord<byte[], byte[]> record = element.getValue();
        int partition = record.partition();
        Open frame = open.get(partition);
        if (frame == null) {
            frame = new Open(Places.key(partition, partitions, groups));
            open.put(partition, frame);
        }
        Records records = frame.records;
        records.add(
                record.topic(), partition, record.offset(), record.timestamp(), record.key(), record.value());
        for (Header header : record.headers()) {
            records.header(header.key(), header.value());
        }
        if (records.size() >= most || records.bytes() >= mostBytes) {
            hand(frame);
        } else if (!waits) {
            waits = true;
            getProcessingTimeService()
                    .registerTimer(
                            getProcessingTimeService().getCurrentProcessingTime() + patience,
                            now -> {
                                waits = false;
                                handAll();
                            });
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        handAll();
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        handAll();
        super.processWatermark(mark);
    }

    @Override
    public void finish() {
        handAll();
    }

    private void handAll() {
        for (Open frame : open.values()) {
            if (frame.records.size() > 0) {
                hand(frame);
            }
        }
    }

    private void hand(Open frame) {
        output.collect(
                new StreamRecord<>(Tuple2.of(frame.key, frame.records.take(System.currentTimeMillis()))));
    }
}
