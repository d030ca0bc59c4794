package pointsman.flink;

import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.accumulators.Accumulator;

/** What the workers of a job have counted, each in its own words. */
public final class Counted implements Accumulator<String, ConcurrentHashMap<String, String>> {
    private static final long serialVersionUID = 1;

    /** The name under which a job has it. */
    static final String NAME = "pointsman";

    // Reports are made of it while a task writes to it.
    private ConcurrentHashMap<String, String> byWorker = new ConcurrentHashMap<>();

    void put(String worker, String said) {
        byWorker.put(worker, said);
    }

    /** What a worker says has its name in front, and a line end. */
    @Override
    public void add(String said) {
        int end = said.indexOf('\n');
        put(said.substring(0, end), said.substring(end + 1));
    }

    @Override
    public ConcurrentHashMap<String, String> getLocalValue() {
        return byWorker;
    }

    @Override
    public void resetLocal() {
        byWorker = new ConcurrentHashMap<>();
    }

    @Override
    public void merge(Accumulator<String, ConcurrentHashMap<String, String>> other) {
        byWorker.putAll(other.getLocalValue());
    }

    @Override
    public Counted clone() {
        Counted copy = new Counted();
        copy.byWorker.putAll(byWorker);
        return copy;
    }
}
