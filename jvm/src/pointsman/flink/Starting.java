package pointsman.flink;

import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;

/**
 * Where partitions begin that no checkpoint knows: at what the group has committed.
 *
 * <p>Without that, topics of the source begin as the document says, and our own at their beginning, as all of
 * what is in them is ours.
 */
@SuppressWarnings("deprecation") // the interface wants what it deprecates
final class Starting implements OffsetsInitializer {
    private static final long serialVersionUID = 1;

    private final HashSet<String> own;
    private final OffsetsInitializer theirs;
    private final OffsetsInitializer ours;

    /**
     * @param own topics that the pipeline writes itself
     * @param reset `earliest` or `latest`
     */
    Starting(Collection<String> own, String reset) {
        this.own = new HashSet<>(own);
        theirs = OffsetsInitializer.committedOffsets(
                reset.equals("latest") ? OffsetResetStrategy.LATEST : OffsetResetStrategy.EARLIEST);
        ours = OffsetsInitializer.committedOffsets(OffsetResetStrategy.EARLIEST);
    }

    @Override
    public Map<TopicPartition, Long> getPartitionOffsets(
            Collection<TopicPartition> partitions, PartitionOffsetsRetriever retriever) {
        Map<Boolean, Set<TopicPartition>> sides = partitions.stream()
                .collect(Collectors.partitioningBy(place -> own.contains(place.topic()), Collectors.toSet()));
        Map<TopicPartition, Long> found = new HashMap<>();
        for (boolean side : Arrays.asList(true, false)) {
            if (!sides.get(side).isEmpty()) {
                found.putAll((side ? ours : theirs).getPartitionOffsets(sides.get(side), retriever));
            }
        }
        return found;
    }

    @Override
    public OffsetResetStrategy getAutoOffsetResetStrategy() {
        return theirs.getAutoOffsetResetStrategy();
    }
}
