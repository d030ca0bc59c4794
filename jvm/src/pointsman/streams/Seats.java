package pointsman.streams;

import java.util.Collection;
import java.util.concurrent.ConcurrentLinkedQueue;

/** The seats of all stream threads; a thread that takes the place of a dead one gets its seat. */
final class Seats {
    private final ConcurrentLinkedQueue<Seat> free;
    private final ThreadLocal<Seat> own = new ThreadLocal<>();

    Seats(Collection<Seat> seats) {
        free = new ConcurrentLinkedQueue<>(seats);
    }

    /** The seat of the stream thread that asks. */
    Seat mine() {
        Seat seat = own.get();
        if (seat == null) {
            seat = free.poll();
            if (seat == null) {
                throw new IllegalStateException("there are more stream threads than seats");
            }
            own.set(seat);
        }
        return seat;
    }

    /** Called by a thread that dies. */
    void leave() {
        Seat seat = own.get();
        if (seat != null) {
            seat.leave();
            own.remove();
            free.add(seat);
        }
    }
}
