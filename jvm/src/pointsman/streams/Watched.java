package pointsman.streams;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The consumer of a stream thread, which tells how far behind it is. */
final class Watched extends KafkaConsumer<byte[], byte[]> {
    private static final long LOOK_NANOS = 200_000_000;

    /** How far each partition is behind, by its name and number; -1 where that is not known yet. */
    private volatile Map<TopicPartition, Long> lags = new HashMap<>();

    private volatile long polledAt = System.nanoTime();
    private volatile boolean joined;
    private volatile boolean closed;
    private long lookedAt;

    Watched(Map<String, Object> config) {
        super(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    @Override
    public ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
        ConsumerRecords<byte[], byte[]> records = super.poll(timeout);
        long now = System.nanoTime();
        if (!records.isEmpty()) {
            polledAt = now;
        }
        if (now - lookedAt > LOOK_NANOS) {
            lookedAt = now;
            look();
        }
        return records;
    }

    @Override
    public void close() {
        closed = true;
        super.close();
    }

    @Override
    public void close(CloseOptions options) {
        closed = true;
        super.close(options);
    }

    @Override
    @Deprecated
    public void close(Duration timeout) {
        closed = true;
        super.close(timeout);
    }

    boolean closed() {
        return closed;
    }

    private void look() {
        Map<TopicPartition, Long> found = new HashMap<>();
        for (TopicPartition place : assignment()) {
            OptionalLong lag = currentLag(place);
            found.put(place, lag.orElse(-1));
        }
        lags = found;
        joined = joined || !groupMetadata().memberId().isEmpty();
    }

    boolean joined() {
        return joined;
    }

    /** Seconds since records came. */
    double quiet() {
        return (System.nanoTime() - polledAt) / 1e9;
    }

    Map<TopicPartition, Long> lags() {
        return lags;
    }
}
