package pointsman.streams;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Keeps the engine's warnings until they are asked for. */
public final class Logs extends Handler {
    private static final int MOST = 1000;
    private static final long AGAIN_NANOS = 10_000_000_000L;

    private final ConcurrentLinkedQueue<String> lines = new ConcurrentLinkedQueue<>();
    private final Map<String, Long> said = new ConcurrentHashMap<>();

    /** Takes over from the console. */
    public Logs() {
        LogManager.getLogManager().reset();
        Logger root = Logger.getLogger("");
        root.setLevel(Level.WARNING);
        root.addHandler(this);
    }

    @Override
    public void publish(LogRecord record) {
        if (lines.size() < MOST && isNews(record)) {
            String thrown = record.getThrown() == null ? "" : ": " + record.getThrown();
            lines.add(record.getLevel() + " " + record.getLoggerName() + " " + record.getMessage() + thrown);
        }
    }

    /** Clients that look for a broker say the same many times a second: that is told every ten seconds. */
    private boolean isNews(LogRecord record) {
        String message = String.valueOf(record.getMessage());
        if (message.contains("not enabled for the GlobalThread")) { // which this topology does not have
            return false;
        }
        String what = record.getLoggerName() + message.replaceAll("[0-9]+", "#");
        long now = System.nanoTime();
        Long before = said.get(what);
        if (before != null && now - before < AGAIN_NANOS) {
            return false;
        }
        if (said.size() >= MOST) {
            said.clear();
        }
        said.put(what, now);
        return true;
    }

    /** The next line, its level and logger in front; null where there is none. */
    public String take() {
        return lines.poll();
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
}
