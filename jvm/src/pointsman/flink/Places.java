package pointsman.flink;

import org.apache.flink.runtime.state.KeyGroupRangeAssignment;

/**
 * Which key stands for a partition number, so that partitions are spread evenly over the tasks.
 *
 * <p>State belongs to the partition number, and Flink spreads keys by a hash, which may give one task three of
 * four partitions. So a partition's key is one whose hash lies where the partition should: in the middle of
 * its share of all key groups, at any parallelism.
 */
final class Places {
    private static final int NUMBERS = 1 << 16;

    private Places() {}

    /**
     * The key of a partition; its lower 16 bits are the partition's number.
     *
     * @param partitions how many the source had when the job began; later ones are spread in turn
     * @param groups how many groups of keys there are, the largest parallelism
     */
    static int key(int partition, int partitions, int groups) {
        long middle = (2L * partition + 1) * groups / (2L * partitions);
        int group = (int) (partition < partitions ? middle : partition % groups);
        for (int key = partition; key >= 0; key += NUMBERS) {
            if (KeyGroupRangeAssignment.assignToKeyGroup(key, groups) == group) {
                return key;
            }
        }
        throw new IllegalStateException("no key of partition " + partition + " lies in group " + group);
    }

    /** The partition that a key stands for. */
    static int partition(int key) {
        return key & NUMBERS - 1;
    }

    /** Which of so many tasks has the partition. */
    static int task(int partition, int partitions, int groups, int tasks) {
        return KeyGroupRangeAssignment.assignKeyToParallelOperator(
                key(partition, partitions, groups), groups, tasks);
    }
}
