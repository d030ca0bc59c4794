package pointsman.flink;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A key of state within its partition, as bytes: Python's text is not always one that Java can hold. */
public final class StateKey {
    private final byte[] bytes;
    private final int hash;

    StateKey(byte[] bytes) {
        this.bytes = bytes;
        hash = Arrays.hashCode(bytes);
    }

    /** The key with the NUL that ends it in frames. */
    byte[] named() {
        return Arrays.copyOf(bytes, bytes.length + 1);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof StateKey && Arrays.equals(bytes, ((StateKey) other).bytes);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    /** How it is stored: with its length in front, so that no key begins another. */
    public static final class Serializer extends TypeSerializerSingleton<StateKey> {
        private static final long serialVersionUID = 1;

        static final Serializer INSTANCE = new Serializer();

        @Override
        public boolean isImmutableType() {
            return true;
        }

        @Override
        public StateKey createInstance() {
            return new StateKey(new byte[0]);
        }

        @Override
        public StateKey copy(StateKey from) {
            return from;
        }

        @Override
        public StateKey copy(StateKey from, StateKey reuse) {
            return from;
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public void serialize(StateKey key, DataOutputView target) throws IOException {
            target.writeInt(key.bytes.length);
            target.write(key.bytes);
        }

        @Override
        public StateKey deserialize(DataInputView source) throws IOException {
            byte[] bytes = new byte[source.readInt()];
            source.readFully(bytes);
            return new StateKey(bytes);
        }

        @Override
        public StateKey deserialize(StateKey reuse, DataInputView source) throws IOException {
            return deserialize(source);
        }

        @Override
        public void copy(DataInputView source, DataOutputView target) throws IOException {
            int length = source.readInt();
            target.writeInt(length);
            target.write(source, length);
        }

        @Override
        public TypeSerializerSnapshot<StateKey> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    /** What a checkpoint says of how keys are stored. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<StateKey> {
        public Snapshot() {
            super(() -> Serializer.INSTANCE);
        }
    }
}
