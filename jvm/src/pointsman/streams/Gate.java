package pointsman.streams;

import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

import java.util.Collections;
import java.util.Map;

/**
 * Holds nothing: Kafka Streams flushes caches before it takes the offsets of a commit, so a store that says it is
 * a cache is told when buffered records must be decided.
 *
 * <p>Without this, records that wait for their frame would be committed and lost.
 */
final class Gate implements StateStore, CachedStateStore<Object, Object> {
    static final String NAME = "frames";

    /** Decides what is buffered; null for a standby task, which has no records. */
    Runnable flush;

    private boolean open;

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        context.register(root, (key, value) -> {});
        open = true;
    }

    @Override
    public void flushCache() {
        if (flush != null) {
            flush.run();
        }
    }

    @Override
    public void clearCache() {}

    @Override
    public boolean setFlushListener(CacheFlushListener<Object, Object> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    @Override
    public void close() {
        open = false;
    }

    /** Makes one for each task. */
    static final class Builder implements StoreBuilder<Gate> {
        @Override
        public Gate build() {
            return new Gate();
        }

        @Override
        public String name() {
            return NAME;
        }

        @Override
        public Map<String, String> logConfig() {
            return Collections.emptyMap();
        }

        @Override
        public boolean loggingEnabled() {
            return false;
        }

        @Override
        public StoreBuilder<Gate> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<Gate> withCachingDisabled() {
            return this;
        }

        @Override
        public StoreBuilder<Gate> withLoggingEnabled(Map<String, String> config) {
            return this;
        }

        @Override
        public StoreBuilder<Gate> withLoggingDisabled() {
            return this;
        }
    }
}
