package io.cryptocdc.connect.cassandra;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** Since when something has been waiting for Cassandra, which has acknowledged nothing since then. Thread-safe. */
final class Progress {
    private final LongSupplier nanos;
    private Long since;
    private Throwable error;

    /** `nanos`: a monotonic clock. */
    Progress(LongSupplier nanos) {
        this.nanos = nanos;
    }

    /** Cassandra acknowledged something, or nothing waits for it. */
    synchronized void reset() {
        since = null;
        error = null;
    }

    synchronized void failed(Throwable why) {
        error = why;
    }

    /** Counts from the first call after a reset. Returns how long that is ago, in milliseconds. */
    synchronized long waitingMs() {
        if (since == null) {
            since = nanos.getAsLong();
        }
        return TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - since);
    }

    /** Why the last request failed, null if none has since the last reset. */
    synchronized Throwable lastError() {
        return error;
    }
}
