package pointsman.flink;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeader;
import pointsman.bridge.Output;

/**
 * Makes what Python wants written a record of Kafka's.
 *
 * <p>It names the topics, as after a crash the sink looks in them for transactions that were left open.
 */
final class Writing implements KafkaRecordSerializationSchema<Output>, KafkaDatasetFacetProvider {
    private static final long serialVersionUID = 1;

    private final ArrayList<String> topics;

    Writing(List<String> topics) {
        this.topics = new ArrayList<>(topics);
    }

    @Override
    public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
        return Optional.of(new DefaultKafkaDatasetFacet(
                DefaultKafkaDatasetIdentifier.ofTopics(topics), new Properties()));
    }

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
