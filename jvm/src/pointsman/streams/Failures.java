package pointsman.streams;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;

/** What ended stream threads, and whether another one is worth a try. */
final class Failures {
    private static final long STEADY_NANOS = 60_000_000_000L;

    private final List<String> untold = new ArrayList<>();
    private final int retries;
    private int failed;
    private long failedAt;

    Failures(int retries) {
        this.retries = retries;
    }

    /** Whether the thread should be replaced. */
    synchronized boolean add(Throwable error) {
        long now = System.nanoTime();
        if (failed > 0 && now - failedAt > STEADY_NANOS) {
            failed = 0;
        }
        failed++;
        failedAt = now;
        boolean again = failed <= retries;
        untold.add((again ? "again " : "over ") + text(error));
        return again;
    }

    synchronized List<String> take() {
        List<String> found = new ArrayList<>(untold);
        untold.clear();
        return found;
    }

    /** Python's own traceback where it is behind it, else Java's. */
    private static String text(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof PythonFailure) {
                return "python " + cause.getMessage();
            }
        }
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text));
        return "java " + text;
    }
}
