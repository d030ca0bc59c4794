import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * What a team would write with Kafka Streams: a window of one hour with sum and count for each user, a
 * look-up, ten routes, and the whole decision record.
 *
 * <p>Arguments: bootstrap, source, target, events, memory or rocksdb, guarantee, commit interval in ms,
 * folder, customers.csv; without state ("none") the window and the look-up are left out.
 */
public final class Stateful {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long BUCKET_MS = 60_000;
    private static final int BUCKETS = 60;
    private static final int ENTRY = 20;

    public static void main(String[] args) throws Exception {
        String store = args[4];
        Map<String, String> segments = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(args[8]))) {
            String[] cells = line.split(",");
            segments.put(cells[0], cells[1]);
        }
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        config.put(StreamsConfig.STATE_DIR_CONFIG, args[7]);
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[5]);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[6]);
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        config.put("auto.offset.reset", "earliest");
        config.put("max.poll.records", 1000);
        config.put("compression.type", "lz4");
        config.put("linger.ms", 20);
        config.put("batch.size", 1_000_000);
        CountDownLatch done = new CountDownLatch(1);
        AtomicLong left = new AtomicLong(Long.parseLong(args[3]));
        Topology topology = new Topology();
        topology.addSource("source", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), args[1]);
        topology.addProcessor("decide", () -> new Decide(segments, store, left, done), "source");
        if (!store.equals("none")) {
            topology.addStateStore(
                    Stores.keyValueStoreBuilder(
                                    store.equals("memory")
                                            ? Stores.inMemoryKeyValueStore("spend")
                                            : Stores.persistentKeyValueStore("spend"),
                                    Serdes.String(),
                                    Serdes.ByteArray())
                            .withCachingEnabled(),
                    "decide");
        }
        topology.addSink("target", args[2], Serdes.String().serializer(), Serdes.ByteArray().serializer(), "decide");
        KafkaStreams streams = new KafkaStreams(topology, config);
        streams.start();
        done.await();
        streams.close(Duration.ofSeconds(60));
    }

    private static final class Decide implements Processor<String, byte[], String, byte[]> {
        private final Map<String, String> segments;
        private final String storeKind;
        private final AtomicLong left;
        private final CountDownLatch done;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> store;

        Decide(Map<String, String> segments, String storeKind, AtomicLong left, CountDownLatch done) {
            this.segments = segments;
            this.storeKind = storeKind;
            this.left = left;
            this.done = done;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            store = storeKind.equals("none") ? null : context.getStateStore("spend");
        }

        @Override
        public void process(Record<String, byte[]> record) {
            try {
                decide(record);
            } catch (java.io.IOException error) {
                throw new IllegalStateException(error);
            }
            if (left.decrementAndGet() == 0) {
                done.countDown();
            }
        }

        private void decide(Record<String, byte[]> record) throws java.io.IOException {
            JsonNode event = JSON.readTree(record.value());
            String user = event.get("user_id").asText();
            double amount = event.get("amount").asDouble();
            long time = event.get("ts").asLong();
            RecordMetadata from = context.recordMetadata().orElseThrow();
            ObjectNode out = JSON.createObjectNode();
            out.put("v", 1).put("id", event.get("txn_id").asText()).put("time", time);
            out.put("decided_at", System.currentTimeMillis());
            out.putObject("source")
                    .put("topic", from.topic())
                    .put("partition", from.partition())
                    .put("offset", from.offset())
                    .put("key", record.key());
            out.set("event", event);
            ObjectNode metadata = out.putObject("metadata");
            metadata.put("risk_level", amount > 5000 ? "high" : amount > 1000 ? "medium" : "low");
            if (store != null) {
                metadata.put("segment", segments.getOrDefault(user, "new"));
                spend(user, amount, time, metadata);
            }
            String[] way = route(event.get("location").asText(), event.get("device").asText(), amount);
            out.putObject("decision")
                    .put("route", way[0])
                    .put("strategy", "fixed")
                    .put("model", way[1])
                    .put("propensity", 1.0)
                    .put("reason", way[0].equals("otherwise") ? "default" : "rule")
                    .put("policy", "0@00000000");
            ObjectNode result = out.putObject("result");
            result.put("status", "ok").put("model", way[1]);
            double score = way[1].equals("large") ? 0.9 : way[1].equals("mobile") ? 0.5 : 0.1;
            result.putObject("output").put("score", score);
            result.put("latency_ms", 0.01);
            context.forward(new Record<>(user, JSON.writeValueAsBytes(out), record.timestamp()));
        }

        /** Sub-buckets of a minute, those of the last hour, as bucket, count and sum in a row. */
        private void spend(String user, double amount, long time, ObjectNode metadata) {
            long bucket = time / BUCKET_MS;
            byte[] kept = store.get(user);
            ByteBuffer old = ByteBuffer.wrap(kept == null ? new byte[0] : kept);
            ByteBuffer fresh = ByteBuffer.allocate(old.capacity() + ENTRY);
            long count = 1;
            double sum = amount;
            int ownCount = 1;
            double ownSum = amount;
            while (old.hasRemaining()) {
                long number = old.getLong();
                int n = old.getInt();
                double total = old.getDouble();
                if (number <= bucket - BUCKETS) {
                    continue;
                }
                count += n;
                sum += total;
                if (number == bucket) {
                    ownCount += n;
                    ownSum += total;
                } else {
                    fresh.putLong(number).putInt(n).putDouble(total);
                }
            }
            fresh.putLong(bucket).putInt(ownCount).putDouble(ownSum);
            byte[] value = new byte[fresh.position()];
            fresh.flip().get(value);
            store.put(user, value);
            metadata.putObject("spend").put("total", sum).put("n", count);
        }

        private static String[] route(String location, String device, double amount) {
            switch (location) {
                case "Singapore": if (amount > 0) return new String[] {"r0", "large"}; break;
                case "Berlin": if (amount > 100) return new String[] {"r1", "mobile"}; break;
                case "Lagos": if (amount > 200) return new String[] {"r2", "baseline"}; break;
                case "Lima": if (amount > 300) return new String[] {"r3", "large"}; break;
                case "Osaka": if (amount > 400) return new String[] {"r4", "mobile"}; break;
                case "Austin": if (amount > 500) return new String[] {"r5", "baseline"}; break;
                case "Paris": if (amount > 600) return new String[] {"r6", "large"}; break;
                case "Quito": if (amount > 700) return new String[] {"r7", "mobile"}; break;
                default: break;
            }
            if (device.equals("iOS")) return new String[] {"ios", "mobile"};
            return new String[] {"otherwise", "baseline"};
        }
    }

    private Stateful() {}
}
