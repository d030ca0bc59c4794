package pointsman.flink;

import java.io.IOException;

/** What the Python worker of a task failed with: its traceback, or how it ended. */
public final class PythonFailure extends IOException {
    private static final long serialVersionUID = 1;

    /** Before the exit code in the message, which is all that is left of it in another process. */
    static final String MARK = "in Python (";

    /** Behind the exit code. */
    static final String END = "): ";

    /** The exit code that Python wants for it; 0 where it is worth another try. */
    final int code;

    PythonFailure(int code, String text) {
        super(MARK + code + END + text);
        this.code = code;
    }
}
