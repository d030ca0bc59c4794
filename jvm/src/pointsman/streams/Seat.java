package pointsman.streams;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SortedSet;
import java.util.TreeSet;
import pointsman.bridge.Fetch;

/** Where a stream thread meets its half in Python: one frame of one task at a time. */
public final class Seat {
    private final SortedSet<Integer> partitions = new TreeSet<>();
    private Brain brain;
    private Fetch.Finder asking;

    /** Must come before the first frame. */
    public void seat(Brain brain) {
        this.brain = brain;
    }

    /** Called by Python, while it handles a frame: the frame 'S' for a frame 'F'. */
    public byte[] fetch(ByteBuffer frame) {
        return Fetch.answer(copied(frame), asking);
    }

    /** The frame 'E' for a frame 'R' of a task that finds its state by `finder`. */
    byte[] handle(byte[] frame, Fetch.Finder finder) {
        asking = finder;
        byte[] answer;
        try {
            answer = copied(brain.handle(frame));
        } finally {
            asking = null;
        }
        if (answer[0] == 'X') {
            throw new PythonFailure(
                    new String(Arrays.copyOfRange(answer, 1, answer.length), StandardCharsets.UTF_8));
        }
        return answer;
    }

    /** A task of the thread begins, maybe again. */
    void begin(int partition) {
        brain.drop(partition);
        if (partitions.add(partition)) {
            own();
        }
    }

    /** A task of the thread has ended. */
    void end(int partition) {
        brain.drop(partition);
        if (partitions.remove(partition)) {
            own();
        }
    }

    /** The thread has died, and its tasks with it. */
    void leave() {
        partitions.forEach(brain::drop);
        partitions.clear();
        own();
    }

    private static byte[] copied(ByteBuffer memory) {
        byte[] found = new byte[memory.remaining()];
        memory.get(found);
        return found;
    }

    private void own() {
        brain.own(partitions.stream().mapToInt(Integer::intValue).toArray());
    }
}
