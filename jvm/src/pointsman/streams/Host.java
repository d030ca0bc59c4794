package pointsman.streams;

import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.StreamPartitioner;
import org.apache.kafka.streams.processor.TopicNameExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import pointsman.bridge.Output;

/**
 * Kafka Streams with a pipeline in it: topics of the source and those through which events go on, one
 * processor with its stores, and a sink that writes each record to the topic it names.
 */
public final class Host {
    private static final String DECIDE = "decide";

    private final Topology topology;
    private final Clients clients = new Clients();
    private final Progress progress = new Progress();
    private final Restoring restoring = new Restoring();
    private final Failures failures;
    private final Seats seats;
    private final Properties config;
    private KafkaStreams streams;

    /**
     * Puts the topology together.
     *
     * @param seats one for each stream thread
     * @param begin where the source begins that has no committed offset: earliest, latest or none
     * @param onward topics through which events go on; all in them is this pipeline's
     * @param stores the stores of each partition
     * @param changelog the settings of the stores' topics
     * @param records how many make a full frame
     * @param bytes how many make a full frame
     * @param waitMs how long a frame waits until it is full
     * @param retries how often a stream thread that failed is replaced
     */
    public Host(
            Map<String, String> config,
            Collection<Seat> seats,
            Collection<String> source,
            String begin,
            Collection<String> onward,
            Collection<String> stores,
            Map<String, String> changelog,
            int records,
            int bytes,
            long waitMs,
            int retries) {
        this.config = new Properties();
        this.config.putAll(config);
        this.config.put("default.timestamp.extractor", Timestamps.class.getName());
        this.config.put("rocksdb.config.setter", Bounded.class.getName());
        topology = new Topology(new TopologyConfig(new StreamsConfig(this.config)));
        this.seats = new Seats(seats);
        failures = new Failures(retries);
        Pace pace = new Pace(records, bytes, waitMs);
        AutoOffsetReset reset = begin.equals("latest")
                ? AutoOffsetReset.latest()
                : begin.equals("none") ? AutoOffsetReset.none() : AutoOffsetReset.earliest();
        addSource("source", reset, source);
        if (!onward.isEmpty()) {
            addSource("onward", AutoOffsetReset.earliest(), onward);
        }
        String[] parents = onward.isEmpty() ? new String[] {"source"} : new String[] {"source", "onward"};
        topology.addProcessor(DECIDE, supplier(pace, Set.copyOf(stores), changelog), parents);
        TopicNameExtractor<byte[], Output> topic = (key, value, context) -> value.topic;
        StreamPartitioner<byte[], Output> partition = (name, key, value, count) ->
                value.partition < 0 ? Optional.empty() : Optional.of(Collections.singleton(value.partition));
        Serializer<Output> content = (name, value) -> value.value;
        topology.addSink("written", topic, new ByteArraySerializer(), content, partition, DECIDE);
    }

    /** Begins; returns at once. */
    public void start() {
        streams = new KafkaStreams(topology, config, clients);
        streams.setUncaughtExceptionHandler(error -> {
            seats.leave();
            return failures.add(error)
                    ? StreamThreadExceptionResponse.REPLACE_THREAD
                    : StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setGlobalStateRestoreListener(restoring);
        streams.start();
    }

    /** Decides and commits what was taken, and leaves; false where that takes longer. */
    public boolean close(long seconds) {
        // A static member stays: it is back soon, and gets what it had. Of others the partitions go on at once.
        GroupMembershipOperation leaving = config.containsKey("group.instance.id")
                ? GroupMembershipOperation.REMAIN_IN_GROUP
                : GroupMembershipOperation.LEAVE_GROUP;
        return streams == null
                || streams.close(CloseOptions.timeout(Duration.ofSeconds(seconds))
                        .withGroupMembershipOperation(leaving));
    }

    /** What Kafka Streams says of itself. */
    public String state() {
        return streams.state().name();
    }

    /** What ended stream threads since the last time: again or over, python or java, and the text. */
    public List<String> failures() {
        return failures.take();
    }

    /** The topology, for people. */
    public String describe() {
        return topology.describe().toString();
    }

    /** Whether a stream thread is in the group. */
    public boolean joined() {
        return clients.consumers().stream().anyMatch(Watched::joined);
    }

    /** How far each partition of this process is behind, as topic, partition, events; -1 is not known yet. */
    public String[] lags() {
        return clients.consumers().stream()
                .flatMap(consumer -> consumer.lags().entrySet().stream())
                .map(lag -> line(lag.getKey(), lag.getValue()))
                .toArray(String[]::new);
    }

    /** How many partitions of stores read their state, and how many records are left, by estimate. */
    public long[] restoring() {
        return restoring.open();
    }

    /** The next partition of a store that has its state: number, records, seconds; null where there is none. */
    public String restored() {
        return restoring.take();
    }

    /** Seconds since events came or were decided. */
    public double quiet() {
        double found = progress.quiet();
        for (Watched consumer : clients.consumers()) {
            found = Math.min(found, consumer.quiet());
        }
        return found;
    }

    private static String line(TopicPartition place, long lag) {
        return place.topic() + " " + place.partition() + " " + lag;
    }

    private void addSource(String name, AutoOffsetReset reset, Collection<String> topics) {
        ByteArrayDeserializer asItIs = new ByteArrayDeserializer();
        topology.addSource(reset, name, asItIs, asItIs, topics.toArray(new String[0]));
    }

    private ProcessorSupplier<byte[], byte[], byte[], Output> supplier(
            Pace pace, Set<String> stores, Map<String, String> changelog) {
        Set<StoreBuilder<?>> builders = new HashSet<>();
        builders.add(new Gate.Builder());
        for (String name : stores) {
            builders.add(Stores.keyValueStoreBuilder(
                            Stores.persistentKeyValueStore(name), Serdes.Bytes(), Serdes.ByteArray())
                    .withCachingDisabled()
                    .withLoggingEnabled(changelog));
        }
        return new ProcessorSupplier<>() {
            @Override
            public Processor<byte[], byte[], byte[], Output> get() {
                return new Decide(seats, stores, pace, progress);
            }

            @Override
            public Set<StoreBuilder<?>> stores() {
                return builders;
            }
        };
    }
}
