package pointsman.streams;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.streams.processor.internals.DefaultKafkaClientSupplier;

/** Makes the Kafka clients, and keeps sight of the consumers of the stream threads. */
final class Clients extends DefaultKafkaClientSupplier {
    private final List<Watched> consumers = new CopyOnWriteArrayList<>();

    @Override
    public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
        Watched consumer = new Watched(config);
        consumers.add(consumer);
        return consumer;
    }

    /** Those of the stream threads that are alive. */
    List<Watched> consumers() {
        consumers.removeIf(Watched::closed);
        return consumers;
    }
}
