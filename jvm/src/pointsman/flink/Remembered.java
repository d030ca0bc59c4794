package pointsman.flink;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.internal.InternalMapState;
import pointsman.bridge.Fetch;

/**
 * What is remembered of the current partition: a map of slots for each store and key of state.
 *
 * <p>A partition is a key of Flink's and a key of state a namespace under it. So all of a partition moves
 * together, and yet each key is stored, found and written by itself.
 */
final class Remembered implements Fetch.Finder {
    private final KeyedStateBackend<Integer> backend;
    private final Map<String, Iterator<byte[]>> walks = new HashMap<>();
    private final Map<String, InternalMapState<Integer, StateKey, Integer, byte[]>> stores = new HashMap<>();

    Remembered(KeyedStateBackend<Integer> backend) {
        this.backend = backend;
    }

    @Override
    public void find(String store, int partition, byte[] prefix, Fetch.Found found) {
        check(partition);
        try {
            MapState<Integer, byte[]> slots = of(store, new StateKey(Arrays.copyOf(prefix, prefix.length - 1)));
            int count = 0;
            int[] numbers = new int[16];
            byte[][] values = new byte[16][];
            for (Map.Entry<Integer, byte[]> slot : slots.entries()) {
                if (count == numbers.length) {
                    numbers = Arrays.copyOf(numbers, 2 * count);
                    values = Arrays.copyOf(values, 2 * count);
                }
                int at = count++;
                for (; at > 0 && numbers[at - 1] > slot.getKey(); at--) { // they come in order, or are few
                    numbers[at] = numbers[at - 1];
                    values[at] = values[at - 1];
                }
                numbers[at] = slot.getKey();
                values[at] = slot.getValue();
            }
            for (int n = 0; n < count; n++) {
                byte[] key = Arrays.copyOf(prefix, prefix.length + 2);
                key[prefix.length] = (byte) (numbers[n] >> 8);
                key[prefix.length + 1] = (byte) numbers[n];
                found.slot(key, values[n]);
            }
        } catch (Exception problem) {
            throw new IllegalStateException("the state of " + store + " cannot be read", problem);
        }
    }

    @Override
    public void walk(String store, int partition, int most, Fetch.Named named) {
        check(partition);
        String walk = store + '/' + partition;
        Iterator<byte[]> left = walks.computeIfAbsent(walk, any -> keys(store).iterator());
        if (!left.hasNext()) {
            walks.remove(walk);
        }
        for (int n = 0; n < most && left.hasNext(); n++) {
            named.key(left.next());
        }
    }

    /** All keys of a store of the current partition as they are now, each with a NUL. */
    private List<byte[]> keys(String store) {
        Integer current = backend.getCurrentKey();
        if (!stores.containsKey(store)) {
            return List.of();
        }
        try (Stream<Tuple2<Integer, StateKey>> all = backend.<StateKey>getKeysAndNamespaces(store)) {
            return all.filter(one -> current.equals(one.f0))
                    .map(one -> one.f1.named())
                    .collect(Collectors.toList());
        }
    }

    /** Takes over a change; the key is that of the changelog: the key of state, NUL, and the slot. */
    void change(String store, int partition, byte[] key, byte[] value) {
        check(partition);
        int end = key.length - 2;
        int slot = (key[end] & 0xff) << 8 | key[end + 1] & 0xff;
        try {
            MapState<Integer, byte[]> slots = of(store, new StateKey(Arrays.copyOf(key, end - 1)));
            if (value == null) {
                slots.remove(slot);
            } else {
                slots.put(slot, value);
            }
        } catch (Exception problem) {
            throw new IllegalStateException("the state of " + store + " cannot be written", problem);
        }
    }

    private MapState<Integer, byte[]> of(String store, StateKey key) throws Exception {
        InternalMapState<Integer, StateKey, Integer, byte[]> slots = stores.get(store);
        if (slots == null) {
            slots = open(store);
            stores.put(store, slots);
        }
        slots.setCurrentNamespace(key);
        return slots;
    }

    @SuppressWarnings("unchecked")
    private InternalMapState<Integer, StateKey, Integer, byte[]> open(String store) throws Exception {
        Object state = backend.getOrCreateKeyedState(
                StateKey.Serializer.INSTANCE,
                new MapStateDescriptor<>(
                        store, IntSerializer.INSTANCE, BytePrimitiveArraySerializer.INSTANCE));
        return (InternalMapState<Integer, StateKey, Integer, byte[]>) state;
    }

    private void check(int partition) {
        int current = Places.partition(backend.getCurrentKey());
        if (partition != current) {
            throw new IllegalStateException(
                    "state of partition " + partition + " was touched by an event of partition " + current);
        }
    }
}
