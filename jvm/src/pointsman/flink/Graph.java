package pointsman.flink;

import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import pointsman.bridge.Output;

/**
 * The job: source → frames → decide → sink.
 *
 * <p>Names of operators stand in savepoints: another name is another operator, which begins without state.
 */
final class Graph {
    private Graph() {}

    static void build(StreamExecutionEnvironment env, Plan plan) {
        int partitions = plan.number("/partitions");
        int groups = plan.number("/groups");
        env.setParallelism(plan.number("/parallelism"));
        env.setMaxParallelism(groups);
        env.getConfig().enableObjectReuse(); // what is handed on is not touched again
        for (Map.Entry<String, String> folder : plan.pairs("/worker/ship").entrySet()) {
            env.registerCachedFile(folder.getValue(), folder.getKey());
        }
        TypeInformation<Tuple2<Integer, byte[]>> frame =
                Types.TUPLE(Types.INT, Types.PRIMITIVE_ARRAY(Types.BYTE));
        Framing framing = new Framing(
                plan.number("/frame/records"),
                plan.number("/frame/bytes"),
                plan.number("/frame/milliseconds"),
                partitions,
                groups);
        Deciding deciding = new Deciding(
                plan.texts("/worker/command"),
                plan.pairs("/worker/environment"),
                List.copyOf(plan.pairs("/worker/ship").keySet()),
                plan.at("/worker/open").toString(),
                partitions,
                groups);
        String begun = plan.text("/source/uid");
        DataStream<ConsumerRecord<byte[], byte[]>> records = env.fromSource(
                        source(plan), WatermarkStrategy.forMonotonousTimestamps(), "source", Reading.type())
                .uid(begun);
        records.transform("frames", frame, framing)
                .uid("frames")
                .keyBy(each -> each.f0, Types.INT)
                .transform("decide", TypeInformation.of(Output.class), deciding)
                .uid("decide")
                .sinkTo(sink(plan))
                .name("sink")
                .uid("sink");
    }

    private static KafkaSource<ConsumerRecord<byte[], byte[]>> source(Plan plan) {
        return KafkaSource.<ConsumerRecord<byte[], byte[]>>builder()
                .setTopics(plan.texts("/source/topics"))
                .setProperties(plan.properties("/source/properties"))
                .setStartingOffsets(new Starting(plan.texts("/source/own"), plan.text("/source/reset")))
                .setDeserializer(new Reading())
                .build();
    }

    private static KafkaSink<Output> sink(Plan plan) {
        Properties properties = plan.properties("/sink/properties");
        KafkaSinkBuilder<Output> sink = KafkaSink.<Output>builder()
                .setBootstrapServers(properties.getProperty("bootstrap.servers"))
                .setKafkaProducerConfig(properties)
                .setRecordSerializer(new Writing(plan.texts("/sink/topics")));
        if (plan.text("/sink/delivery").equals("exactly_once")) {
            sink.setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
                    .setTransactionalIdPrefix(plan.text("/sink/prefix"))
                    .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING);
        } else {
            sink.setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE);
        }
        return sink.build();
    }
}
