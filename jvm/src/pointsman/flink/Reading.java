package pointsman.flink;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.util.Collector;

/** Hands records on as they are: framing, which is in the same task, takes what it needs of them. */
final class Reading implements KafkaRecordDeserializationSchema<ConsumerRecord<byte[], byte[]>> {
    private static final long serialVersionUID = 1;

    /** The type of records that were read. */
    @SuppressWarnings("unchecked")
    static TypeInformation<ConsumerRecord<byte[], byte[]>> type() {
        Class<?> plain = ConsumerRecord.class;
        return TypeInformation.of((Class<ConsumerRecord<byte[], byte[]>>) plain);
    }

    @Override
    public void deserialize(
            ConsumerRecord<byte[], byte[]> record, Collector<ConsumerRecord<byte[], byte[]>> out) {
        out.collect(record);
    }

    @Override
    public TypeInformation<ConsumerRecord<byte[], byte[]>> getProducedType() {
        return type();
    }
}
