package pointsman.streams;

import java.nio.ByteBuffer;

/** The half in Python of one stream thread. */
public interface Brain {
    /** Decides a frame 'R'; answers 'E', or 'X' and a text where it cannot; the memory is Python's. */
    ByteBuffer handle(byte[] frame);

    /** These are the partitions of the thread now. */
    void own(int[] partitions);

    /** What it remembers of a partition is not what is stored. */
    void drop(int partition);
}
