package pointsman.streams;

/** Python could not decide a frame; the text is its traceback. */
public final class PythonFailure extends RuntimeException {
    private static final long serialVersionUID = 1;

    public PythonFailure(String text) {
        super(text);
    }
}
