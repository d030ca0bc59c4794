package pointsman.streams;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Keeps the engine's warnings until they are asked for. */
public final class Logs extends Handler {
    private static final int MOST = 1000;

    private final ConcurrentLinkedQueue<String> lines = new ConcurrentLinkedQueue<>();

    /** Takes over from the console. */
    public Logs() {
        LogManager.getLogManager().reset();
        Logger root = Logger.getLogger("");
        root.setLevel(Level.WARNING);
        root.addHandler(this);
    }

    @Override
    public void publish(LogRecord record) {
        if (lines.size() < MOST) {
            String thrown = record.getThrown() == null ? "" : ": " + record.getThrown();
            lines.add(record.getLevel() + " " + record.getLoggerName() + " " + record.getMessage() + thrown);
        }
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
