package pointsman.flink;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import pointsman.bridge.Effects;
import pointsman.bridge.Output;

/**
 * Has a frame decided by the Python worker of its task, keeps what it remembers, and hands on what it writes.
 *
 * <p>A frame is done when this returns, so a checkpoint has all of it or nothing.
 */
final class Deciding extends AbstractStreamOperator<Output>
        implements OneInputStreamOperator<Tuple2<Integer, byte[]>, Output> {
    private static final long serialVersionUID = 1;
    private static final int COUNT_MILLISECONDS = 1000;

    private final ArrayList<String> command;
    private final HashMap<String, String> environment;
    private final ArrayList<String> shipped;
    private final String said;
    private final int partitions;
    private final int groups;

    private transient Worker worker;
    private transient String name;
    private transient Closeable killing;
    private transient Counted counted;
    private transient Taking taking;

    /**
     * @param command starts the worker; `{NAME}` is the folder that was shipped under that name
     * @param environment variables of the worker, in which the same is replaced
     * @param shipped the names of folders that come with the job
     * @param said what the worker is told to open, as JSON
     * @param partitions of the source
     * @param groups of keys
     */
    Deciding(
            List<String> command,
            Map<String, String> environment,
            List<String> shipped,
            String said,
            int partitions,
            int groups) {
        this.command = new ArrayList<>(command);
        this.environment = new HashMap<>(environment);
        this.shipped = new ArrayList<>(shipped);
        this.said = said;
        this.partitions = partitions;
        this.groups = groups;
    }

    @Override
    public void open() throws Exception {
        super.open();
        TaskInfo task = getRuntimeContext().getTaskInfo();
        int number = task.getIndexOfThisSubtask();
        int tasks = task.getNumberOfParallelSubtasks();
        name = number + "-" + UUID.randomUUID();
        KeyedStateBackend<Integer> backend = getKeyedStateBackend();
        taking = new Taking(new Remembered(backend));
        counted = new Counted();
        getRuntimeContext().addAccumulator(Counted.NAME, counted);
        List<String> here = new ArrayList<>();
        for (String part : command) {
            here.add(located(part));
        }
        Map<String, String> variables = new HashMap<>();
        for (Map.Entry<String, String> variable : environment.entrySet()) {
            variables.put(variable.getKey(), located(variable.getValue()));
        }
        worker = new Worker("worker " + number, here, variables);
        // A task that is cancelled while its worker thinks would wait for it.
        killing = worker::kill;
        getContainingTask().getCancelables().registerCloseable(killing);
        ObjectNode open = (ObjectNode) Plan.parse(located(said));
        open.put("worker", number);
        for (int partition = 0; partition < partitions; partition++) {
            if (Places.task(partition, partitions, groups, tasks) == number) {
                open.withArray("/partitions").add(partition);
            }
        }
        worker.open(open.toString());
        countLater();
    }

    @Override
    public void processElement(StreamRecord<Tuple2<Integer, byte[]>> element) throws Exception {
        byte[] effects = worker.decide(element.getValue().f1, taking.remembered);
        new Effects(effects).read(taking);
    }

    @Override
    public void finish() throws Exception {
        count();
        super.finish();
    }

    @Override
    public void close() throws Exception {
        if (worker != null) {
            worker.close();
            getContainingTask().getCancelables().unregisterCloseable(killing);
            worker = null;
        }
        super.close();
    }

    private void countLater() {
        long at = getProcessingTimeService().getCurrentProcessingTime() + COUNT_MILLISECONDS;
        getProcessingTimeService().registerTimer(at, now -> {
            count();
            countLater();
        });
    }

    private void count() throws IOException {
        counted.put(name, worker.count());
    }

    private String located(String text) {
        String found = text;
        for (String folder : shipped) {
            if (found.contains("{" + folder + "}")) {
                File here = getRuntimeContext().getDistributedCache().getFile(folder);
                found = found.replace("{" + folder + "}", here.getPath());
            }
        }
        return found;
    }

    /** Takes effects over, one by one. */
    private final class Taking implements Effects.Reader {
        final Remembered remembered;
        private final StreamRecord<Output> reused = new StreamRecord<>(null);

        Taking(Remembered remembered) {
            this.remembered = remembered;
        }

        @Override
        public void record(Output written) {
            output.collect(reused.replace(written));
        }

        @Override
        public void change(String store, int partition, byte[] key, byte[] value) {
            remembered.change(store, partition, key, value);
        }
    }
}
