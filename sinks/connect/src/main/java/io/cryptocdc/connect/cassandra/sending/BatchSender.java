package io.cryptocdc.connect.cassandra.sending;

import com.datastax.oss.driver.api.core.servererrors.InvalidQueryException;
import com.datastax.oss.driver.api.core.servererrors.ProtocolError;
import com.datastax.oss.driver.api.core.servererrors.SyntaxError;
import io.cryptocdc.connect.cassandra.rows.Row;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Queue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends batches, a bounded number at a time. A fault that may pass is retried until the task is stopped; a batch with a row
 * that Cassandra refuses is halved until only that row is left. Thread-safe.
 */
public final class BatchSender {
    private static final Logger LOG = LoggerFactory.getLogger(BatchSender.class);
    private static final long LEAST_WAIT_MS = 100;
    private static final long MOST_WAIT_MS = 5_000;
    private static final long LOG_EVERY_NS = TimeUnit.SECONDS.toNanos(10);
    // Also refused as invalid, but only until the table exists.
    private static final String[] MISSING = {"unconfigured table", "does not exist", "doesn't exist", "unknown keyspace"};

    /** A row that Cassandra refuses, and why. */
    public record Refused(Batch batch, Row row, Undeliverable reason) {}

    private final Function<Batch, CompletionStage<?>> send;
    private final ScheduledExecutorService timer;
    private final int most;
    private final Progress progress;
    private final Queue<Batch> waiting = new ArrayDeque<>();
    private final Queue<Refused> refused = new ConcurrentLinkedQueue<>();
    private int inFlight;
    private long loggedAt = System.nanoTime() - LOG_EVERY_NS;

    public BatchSender(Function<Batch, CompletionStage<?>> send, ScheduledExecutorService timer, int most, Progress progress) {
        this.send = send;
        this.timer = timer;
        this.most = most;
        this.progress = progress;
    }

    public void add(Collection<Batch> batches) {
        synchronized (this) {
            waiting.addAll(batches);
        }
        sendWaiting();
    }

    /** Whether more batches wait than can be sent at once: the task should read no more for now. */
    public synchronized boolean full() {
        return waiting.size() > most;
    }

    /** Whether every batch was acknowledged or refused. */
    public synchronized boolean idle() {
        return inFlight == 0 && waiting.isEmpty();
    }

    /** The next row that was refused; its batch stays pending until the caller has dealt with it. */
    public Refused pollRefused() {
        return refused.poll();
    }

    private void sendWaiting() {
        while (true) {
            Batch batch;
            synchronized (this) {
                if (inFlight >= most || waiting.isEmpty()) {
                    return;
                }
                batch = waiting.remove();
                inFlight++;
            }
            send(batch);
        }
    }

    private void send(Batch batch) {
        batch.attempts++;
        try {
            send.apply(batch).whenComplete((answer, error) -> settle(batch, error));
        } catch (RuntimeException error) {  // from the driver itself: no host, a closed session
            settle(batch, error);
        }
    }

    private void settle(Batch batch, Throwable raised) {
        Throwable error = raised instanceof CompletionException && raised.getCause() != null ? raised.getCause() : raised;
        if (error != null && !isPermanent(error)) {
            progress.failed(error);
            retryLater(batch, error);
            return;
        }
        progress.reset();
        synchronized (this) {
            inFlight--;
        }
        if (error == null) {
            batch.chunk.pending.decrementAndGet();
        } else if (batch.rows.size() == 1) {
            refused.add(new Refused(batch, batch.rows.get(0), Undeliverable.refused(String.valueOf(error.getMessage()))));
        } else {
            batch.chunk.pending.incrementAndGet();
            synchronized (this) {
                waiting.addAll(batch.halves());
            }
        }
        sendWaiting();
    }

    /** Whether Cassandra refuses the statement however often it is sent. */
    public static boolean isPermanent(Throwable error) {
        boolean invalid = error instanceof InvalidQueryException || error instanceof SyntaxError || error instanceof ProtocolError;
        return invalid && Stream.of(MISSING).noneMatch(String.valueOf(error.getMessage())::contains);
    }

    /** A batch that waits for its retry counts as in flight, which bounds memory. */
    private void retryLater(Batch batch, Throwable error) {
        long wait = Math.min(MOST_WAIT_MS, LEAST_WAIT_MS << Math.min(batch.attempts - 1, 10));
        synchronized (this) {
            if (System.nanoTime() - loggedAt >= LOG_EVERY_NS) {
                loggedAt = System.nanoTime();
                LOG.warn("Cassandra: {}; batches are retried until it accepts them", error.toString());
            }
        }
        if (!timer.isShutdown()) {
            timer.schedule(() -> send(batch), wait / 2 + ThreadLocalRandom.current().nextLong(wait / 2 + 1), TimeUnit.MILLISECONDS);
        }
    }
}
