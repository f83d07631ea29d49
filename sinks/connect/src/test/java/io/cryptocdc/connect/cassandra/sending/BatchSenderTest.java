package io.cryptocdc.connect.cassandra.sending;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.servererrors.InvalidQueryException;
import io.cryptocdc.connect.cassandra.rows.Row;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class BatchSenderTest {
    private record Sent(Batch batch, CompletableFuture<Object> answer) {}

    private final Deque<Sent> sent = new ArrayDeque<>();
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    private final Chunk chunk = new Chunk(List.of(record(41), record(42)));
    private final BatchSender sender = new BatchSender(this::send, timer, 2, new Progress(System::nanoTime));

    @AfterEach
    void stop() {
        timer.shutdownNow();
    }

    private synchronized CompletableFuture<Object> send(Batch batch) {
        CompletableFuture<Object> answer = new CompletableFuture<>();
        sent.add(new Sent(batch, answer));
        notifyAll();
        return answer;
    }

    private synchronized Sent next() throws InterruptedException {
        while (sent.isEmpty()) {
            wait(TimeUnit.SECONDS.toMillis(20));
        }
        return sent.remove();
    }

    private static SinkRecord record(long offset) {
        return new SinkRecord("t", 0, null, null, null, null, offset);
    }

    private List<Batch> batches(int rows, int mostRows) {
        List<Row> made = new ArrayList<>();
        for (int at = 0; at < rows; at++) {
            made.add(new Row(null, List.of(ByteBuffer.allocate(1)), List.of(), at, null, 10, record(at), false));
        }
        List<Batch> found = Batch.of(chunk, made, mostRows, 1000);
        chunk.pending.set(found.size());
        return found;
    }

    @Test
    void atMostSoManyAreInFlightAndTheRestFollows() throws InterruptedException {
        sender.add(batches(5, 1));
        Sent first = next();
        next();
        assertTrue(sent.isEmpty());
        assertTrue(sender.full());
        first.answer().complete("ok");
        next();
        assertFalse(sender.full());
        assertEquals(4, chunk.pending.get());
        assertFalse(chunk.complete());
    }

    @Test
    void aFaultThatMayPassIsRetriedAndNothingIsDropped() throws InterruptedException {
        sender.add(batches(1, 9));
        Sent first = next();
        first.answer().completeExceptionally(new IllegalStateException("no node was available"));
        Sent again = next();
        assertEquals(first.batch(), again.batch());
        again.answer().complete("ok");
        while (!chunk.complete()) {  // the timer's thread may still have to see the answer
            Thread.onSpinWait();
        }
        assertEquals(43, chunk.offsets.values().iterator().next());
    }

    @Test
    void aRowThatCassandraRefusesIsFoundByHalving() throws InterruptedException {
        sender.add(batches(4, 9));
        for (int answered = 0; sender.pollRefused() == null && answered < 20; answered++) {
            Sent each = next();
            if (each.batch().rows.stream().anyMatch(row -> row.timestamp() == 2)) {
                each.answer().completeExceptionally(new InvalidQueryException(null, "key too long"));
                if (each.batch().rows.size() == 1) {
                    break;
                }
            } else {
                each.answer().complete("ok");
            }
        }
        BatchSender.Refused refused = sender.pollRefused();
        assertEquals(2, refused.row().timestamp());
        assertEquals("refused: key too long", refused.reason().getMessage());
        assertNull(sender.pollRefused());
        assertTrue(chunk.pending.get() >= 1, "the refused row is pending until it is a dead letter");
    }

    @Test
    void aMissingTableIsNoPermanentRefusal() {
        assertFalse(BatchSender.isPermanent(new InvalidQueryException(null, "unconfigured table trades")));
        assertTrue(BatchSender.isPermanent(new InvalidQueryException(null, "Key length of 70000 is longer than maximum")));
    }
}
