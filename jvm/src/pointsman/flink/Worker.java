package pointsman.flink;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.BufferedReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pointsman.bridge.Fetch;

/**
 * The Python process of a task.
 *
 * <p>Each frame has its length in front, little endian. The process' standard output is for frames alone; what
 * it prints comes on standard error and goes to the task's log.
 */
final class Worker {
    private static final Logger LOG = LoggerFactory.getLogger(Worker.class);
    private static final int LAST_LINES = 40;
    private static final int END_SECONDS = 10;

    private final Process process;
    private final OutputStream to;
    private final DataInputStream from;
    private final Thread listener;
    private final Deque<String> lastLines = new ArrayDeque<>();

    /**
     * Starts it.
     *
     * @param name what log lines call it
     * @param environment variables besides this process' own
     */
    Worker(String name, List<String> command, Map<String, String> environment) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().putAll(environment);
        process = builder.start();
        to = process.getOutputStream();
        from = new DataInputStream(process.getInputStream());
        listener = new Thread(() -> listen(name, process.getErrorStream()), name + " says");
        listener.setDaemon(true);
        listener.start();
    }

    /** Has it open a document. */
    void open(String json) throws IOException {
        send('O', json.getBytes(StandardCharsets.UTF_8));
        expect(receive(), 'K');
    }

    /** The frame of effects of a frame of records. */
    byte[] decide(byte[] frame, Fetch.Finder finder) throws IOException {
        send(frame);
        while (true) {
            byte[] answer = receive();
            if (!Fetch.asks(answer)) {
                return expect(answer, 'E');
            }
            send(Fetch.answer(answer, finder));
        }
    }

    /** What it has counted, as JSON. */
    String count() throws IOException {
        send('M', new byte[0]);
        byte[] answer = expect(receive(), 'M');
        return new String(answer, 1, answer.length - 1, StandardCharsets.UTF_8);
    }

    /** Asks it to end, and sees to it that it does. */
    void close() {
        try {
            to.close();
        } catch (IOException gone) {
            LOG.debug("the worker has gone already", gone);
        }
        try {
            if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
                LOG.warn("the worker did not end within {} s and is killed", END_SECONDS);
            }
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
        } finally {
            kill();
        }
    }

    /** Ends it at once; whoever waits for its answer then fails. May be called from another thread. */
    void kill() {
        process.destroyForcibly();
    }

    private void send(char kind, byte[] content) throws IOException {
        ByteArrayOutputStream frame = new ByteArrayOutputStream(1 + content.length);
        frame.write(kind);
        frame.write(content);
        send(frame.toByteArray());
    }

    private void send(byte[] frame) throws IOException {
        int length = frame.length;
        byte[] head = {(byte) length, (byte) (length >> 8), (byte) (length >> 16), (byte) (length >> 24)};
        try {
            to.write(head);
            to.write(frame);
            to.flush();
        } catch (IOException gone) {
            throw ended(gone);
        }
    }

    private byte[] receive() throws IOException {
        try {
            byte[] frame = new byte[Integer.reverseBytes(from.readInt())];
            from.readFully(frame);
            return frame;
        } catch (EOFException gone) {
            throw ended(gone);
        }
    }

    private static byte[] expect(byte[] frame, char kind) throws IOException {
        if (frame[0] == 'X') {
            String text = new String(frame, 2, frame.length - 2, StandardCharsets.UTF_8);
            PythonFailure failure = new PythonFailure(frame[1], text);
            if (failure.code != 0) {
                throw new SuppressRestartsException(failure);
            }
            throw failure;
        }
        if (frame[0] != kind) {
            throw new PythonFailure(
                    0, "the worker answered with a frame " + (char) frame[0] + " where " + kind + " was due");
        }
        return frame;
    }

    /** The worker has gone without a word: how, and what it printed last. */
    private IOException ended(IOException gone) {
        String how = "the worker does not read any more";
        try {
            if (process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
                int code = process.exitValue();
                how = code > 128 ? "killed by signal " + (code - 128) : "ended with code " + code;
                listener.join(TimeUnit.SECONDS.toMillis(1));
            }
        } catch (InterruptedException cancelled) {
            Thread.currentThread().interrupt();
        }
        synchronized (lastLines) {
            IOException failure = new PythonFailure(
                    0, "the Python worker was " + how + "\n" + String.join("\n", lastLines));
            failure.addSuppressed(gone);
            return failure;
        }
    }

    private void listen(String name, InputStream said) {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(said, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                LOG.info("{}: {}", name, line);
                synchronized (lastLines) {
                    lastLines.addLast(line);
                    if (lastLines.size() > LAST_LINES) {
                        lastLines.removeFirst();
                    }
                }
            }
        } catch (IOException gone) {
            LOG.debug("the worker says no more", gone);
        }
    }
}
