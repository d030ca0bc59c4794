package pointsman.streams;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** Kafka Streams drops records without a timestamp: those of -1 milliseconds. Here all are one later. */
public final class Timestamps implements TimestampExtractor {
    static final long SHIFT = 1;

    @Override
    public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
        return record.timestamp() + SHIFT;
    }
}
