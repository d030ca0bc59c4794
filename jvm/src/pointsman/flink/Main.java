package pointsman.flink;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.ExceptionUtils;

/**
 * Submits a job and tells of it: one JSON object a line on standard output.
 *
 * <p>A line `stop` on standard input ends the job with a savepoint. Where standard input ends, whoever asked
 * for the job has gone, and with it this process, and a cluster in it.
 */
public final class Main {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int POLL_MILLISECONDS = 500;
    private static final int ANSWER_SECONDS = 10;
    private static final int STOP_SECONDS = 120;
    private static final int TRY_SECONDS = 30;

    private final PrintStream out;
    private final Plan plan;
    private volatile boolean stopping;
    private boolean cancelled;

    private Main(PrintStream out, Plan plan) {
        this.out = out;
        this.plan = plan;
    }

    /** The first line of standard input is the plan; it holds secrets, so it is in no file. */
    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // whatever else prints
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Main main = new Main(out, new Plan(Plan.parse(lines.readLine())));
        main.listen(lines);
        int code = 0;
        try {
            main.run();
        } catch (Throwable failure) { // told whatever it is; nobody else would
            code = 1;
            main.tell(said(failure));
        }
        out.flush();
        System.exit(code);
    }

    private void run() throws Exception {
        Configuration settings = Configuration.fromMap(plan.pairs("/flink"));
        String address = plan.text("/cluster");
        StreamExecutionEnvironment env;
        if (address.isEmpty()) {
            env = StreamExecutionEnvironment.createLocalEnvironment(settings);
        } else {
            int colon = address.lastIndexOf(':');
            env = StreamExecutionEnvironment.createRemoteEnvironment(
                    address.substring(0, colon),
                    Integer.parseInt(address.substring(colon + 1)),
                    settings,
                    plan.texts("/jars").toArray(String[]::new));
        }
        Graph.build(env, plan);
        JobClient job = env.executeAsync(plan.text("/job"));
        tell("submitted", "job", job.getJobID().toString());
        watch(job);
    }

    private void watch(JobClient job) throws Exception {
        CompletableFuture<JobExecutionResult> end = job.getJobExecutionResult();
        JobStatus before = null;
        while (true) {
            JobStatus status = before;
            try {
                JobExecutionResult result = end.get(POLL_MILLISECONDS, TimeUnit.MILLISECONDS);
                count(result.getAllAccumulatorResults());
                tell("ended", "job", job.getJobID().toString());
                return;
            } catch (ExecutionException failure) {
                if (!cancelled) {
                    throw failure;
                }
                tell("ended", "job", job.getJobID().toString());
                return;
            } catch (TimeoutException goesOn) {
                status = ask(job::getJobStatus, before);
            }
            if (status != before) {
                tell(line("status").put("job", job.getJobID().toString()).put("status", status.toString()));
                before = status;
            }
            if (stopping) {
                stop(job);
                stopping = false;
            }
            Map<String, Object> counted = ask(job::getAccumulators, null);
            if (counted != null) {
                count(counted);
            }
        }
    }

    /** What the cluster answers; `otherwise` where it does not, as while it ends. */
    private static <T> T ask(Supplier<CompletableFuture<T>> question, T otherwise)
            throws InterruptedException {
        try {
            return question.get().get(ANSWER_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException | IllegalStateException silent) {
            return otherwise;
        }
    }

    private void stop(JobClient job) throws Exception {
        String folder = plan.text("/savepoints");
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(TRY_SECONDS);
        while (true) {
            try {
                String path = job.stopWithSavepoint(
                                false, folder.isEmpty() ? null : folder, SavepointFormatType.CANONICAL)
                        .get(STOP_SECONDS, TimeUnit.SECONDS);
                tell("savepoint", "path", path);
                return;
            } catch (ExecutionException | TimeoutException failure) {
                // Tasks that are not up yet, or are being started again, cannot stop so.
                JobStatus status = ask(job::getJobStatus, JobStatus.RUNNING);
                if (status.isGloballyTerminalState()) {
                    return;
                }
                if (System.nanoTime() > until) {
                    tell("unsaved", "text", ExceptionUtils.stringifyException(failure));
                    cancelled = true; // what its last checkpoint has is kept
                    job.cancel().get(STOP_SECONDS, TimeUnit.SECONDS);
                    return;
                }
                Thread.sleep(POLL_MILLISECONDS);
            }
        }
    }

    @SuppressWarnings("unchecked")
    private void count(Map<String, Object> found) throws IOException {
        Map<String, String> byWorker = (Map<String, String>) found.get(Counted.NAME);
        if (byWorker != null) {
            ObjectNode line = line("metrics");
            ObjectNode workers = line.putObject("workers");
            for (Map.Entry<String, String> worker : byWorker.entrySet()) {
                workers.set(worker.getKey(), JSON.readTree(worker.getValue()));
            }
            tell(line);
        }
    }

    private void listen(BufferedReader lines) {
        Thread listener = new Thread(
                () -> {
                    try {
                        while ("stop".equals(lines.readLine())) {
                            stopping = true;
                        }
                    } catch (IOException gone) {
                        // as at its end
                    }
                    Runtime.getRuntime().halt(1);
                },
                "asked");
        listener.setDaemon(true);
        listener.start();
    }

    private static ObjectNode line(String event) {
        return JSON.createObjectNode().put("event", event);
    }

    private void tell(String event, String name, String value) throws IOException {
        tell(line(event).put(name, value));
    }

    private void tell(ObjectNode line) throws IOException {
        out.println(JSON.writeValueAsString(line));
    }

    /** What Python said, where it did; else the whole story. */
    private static ObjectNode said(Throwable failure) {
        for (Throwable each = failure; each != null; each = each.getCause()) {
            String text = String.valueOf(each.getMessage());
            int mark = text.indexOf(PythonFailure.MARK);
            if (mark >= 0) { // in front of it the name of the class, as it comes from another process
                int end = text.indexOf(PythonFailure.END, mark);
                int code = Integer.parseInt(text.substring(mark + PythonFailure.MARK.length(), end));
                String told = text.substring(end + PythonFailure.END.length());
                return line("failed").put("code", code).put("python", true).put("text", told);
            }
        }
        String whole = ExceptionUtils.stringifyException(failure);
        return line("failed").put("code", 0).put("python", false).put("text", whole);
    }
}
