package pointsman.streams;

import java.util.concurrent.atomic.AtomicInteger;

/** Whether anything is under way in this process. */
final class Progress {
    private final AtomicInteger buffers = new AtomicInteger();
    private volatile long decidedAt = System.nanoTime();

    /** One more buffer, or less, holds records. */
    void buffered(int more) {
        buffers.addAndGet(more);
    }

    /** A frame was decided. */
    void decided() {
        decidedAt = System.nanoTime();
    }

    /** Seconds since anything was under way. */
    double quiet() {
        return buffers.get() > 0 ? 0 : (System.nanoTime() - decidedAt) / 1e9;
    }
}
