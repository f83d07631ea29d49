package io.cryptocdc.connect.cassandra.sending;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** Since when something has been waiting for Cassandra, which has acknowledged nothing since then. Thread-safe. */
public final class Progress {
    private final LongSupplier nanos;
    private Long since;
    private Throwable error;

    /** `nanos`: a monotonic clock. */
    public Progress(LongSupplier nanos) {
        this.nanos = nanos;
    }

    /** Cassandra acknowledged something, or nothing waits for it. */
    public synchronized void reset() {
        since = null;
        error = null;
    }

    public synchronized void failed(Throwable why) {
        error = why;
    }

    /** Counts from the first call after a reset. Returns how long that is ago, in milliseconds. */
    public synchronized long waitingMs() {
        if (since == null) {
            since = nanos.getAsLong();
        }
        return TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - since);
    }

    /** Why the last request failed, null if none has since the last reset. */
    public synchronized Throwable lastError() {
        return error;
    }
}
