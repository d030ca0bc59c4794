package pointsman.flink;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeader;
import pointsman.bridge.Output;

/** Makes what Python wants written a record of Kafka's. */
final class Writing implements KafkaRecordSerializationSchema<Output> {
    private static final long serialVersionUID = 1;

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Output output, KafkaSinkContext context, Long timestamp) {
        return new ProducerRecord<>(
                output.topic,
                output.partition < 0 ? null : output.partition,
                output.timestamp < 0 ? null : output.timestamp,
                output.key,
                output.value,
                headers(output.headers));
    }

    private static Iterable<Header> headers(Output.Header[] headers) {
        if (headers.length == 0) {
            return null;
        }
        List<Header> found = new ArrayList<>(headers.length);
        Arrays.stream(headers).forEach(header -> found.add(new RecordHeader(header.name, header.value)));
        return found;
    }
}
