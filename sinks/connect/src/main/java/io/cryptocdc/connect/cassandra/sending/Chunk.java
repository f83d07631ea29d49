package io.cryptocdc.connect.cassandra.sending;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.sink.SinkRecord;

/** The records of one poll. Its offsets may be committed once all of its batches and dead letters are acknowledged. */
public final class Chunk {
    /** The offset after the last record of each partition. */
    public final Map<TopicPartition, Long> offsets = new HashMap<>();
    /** Batches that Cassandra has not acknowledged, and refused rows that are no dead letters yet. */
    public final AtomicInteger pending = new AtomicInteger();
    private final List<Future<Void>> deadLetters = new ArrayList<>();

    public Chunk(Collection<SinkRecord> records) {
        for (SinkRecord record : records) {
            offsets.merge(
                new TopicPartition(record.originalTopic(), record.originalKafkaPartition()), record.originalKafkaOffset() + 1, Math::max);
        }
    }

    public void await(Future<Void> deadLetter) {
        deadLetters.add(deadLetter);
    }

    /** Raises ConnectException if a dead letter could not be delivered: the task must fail, so that nothing is skipped. */
    public boolean complete() {
        if (pending.get() > 0 || !deadLetters.stream().allMatch(Future::isDone)) {
            return false;
        }
        for (Future<Void> letter : deadLetters) {
            try {
                letter.get();
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
                throw new ConnectException("interrupted", error);
            } catch (ExecutionException error) {
                throw new ConnectException("a dead letter was not delivered", error.getCause());
            }
        }
        return true;
    }
}
