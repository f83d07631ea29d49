package io.cryptocdc.connect.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.DriverTimeoutException;
import com.datastax.oss.driver.api.core.servererrors.InvalidQueryException;
import io.cryptocdc.connect.cassandra.rows.RecordWriterTest;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTaskContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** When a task gives up, so that whoever watches it starts it again: with a session and a clock in memory. */
@Timeout(60)
class CassandraSinkTaskTest {
    private static final TopicPartition PARTITION = new TopicPartition("quotes", 0);
    private static final String MAPPING = """
        {"quotes": {"tables": [{"table": "market.quotes", "columns": {"symbol": "symbol", "at": "at"},
                                "timestamp": {"field": "at", "times": 1000}}]}}""";

    private long now = TimeUnit.DAYS.toNanos(1);
    private long offset;
    /** Raised instead of opening a session, if set. */
    private DriverException notOpened;
    /** Raised by the preparing of a statement, if set. */
    private DriverException notPrepared;
    private final Deque<CompletableFuture<Object>> sent = new ArrayDeque<>();
    private final CassandraSinkTask task = new CassandraSinkTask(config -> session(), () -> now);

    @BeforeEach
    void start() {
        task.initialize((SinkTaskContext) Proxy.newProxyInstance(
            SinkTaskContext.class.getClassLoader(), new Class<?>[] {SinkTaskContext.class}, (proxy, method, given) -> null));
        task.start(Map.of("cassandra.hosts", "none", "cassandra.datacenter", "dc1", "mapping", MAPPING));
        task.open(List.of(PARTITION));
    }

    @AfterEach
    void stop() {
        task.stop();
    }

    private CqlSession session() {
        if (notOpened != null) {
            throw notOpened;
        }
        return (CqlSession) Proxy.newProxyInstance(
            CqlSession.class.getClassLoader(), new Class<?>[] {CqlSession.class}, (proxy, method, given) -> {
                switch (method.getName()) {
                    case "prepare":
                        if (notPrepared != null) {
                            throw notPrepared;
                        }
                        return RecordWriterTest.prepared((String) given[0]);
                    case "executeAsync":
                        CompletableFuture<Object> answer = new CompletableFuture<>();
                        synchronized (sent) {
                            sent.add(answer);
                            sent.notifyAll();
                        }
                        return answer;
                    case "close":
                        return null;
                    default:
                        throw new UnsupportedOperationException(method.getName());
                }
            });
    }

    private CompletableFuture<Object> next() throws InterruptedException {
        synchronized (sent) {
            while (sent.isEmpty()) {
                sent.wait(TimeUnit.SECONDS.toMillis(20));
            }
            return sent.remove();
        }
    }

    private void later(int seconds) {
        now += TimeUnit.SECONDS.toNanos(seconds);
    }

    private void putOne() {
        byte[] value = "{\"symbol\": \"BTCUSDT\", \"at\": 5}".getBytes(StandardCharsets.UTF_8);
        task.put(List.of(new SinkRecord("quotes", 0, null, null, null, value, offset++)));
    }

    /** What Connect does while nothing arrives. */
    private void putNothing() {
        task.put(List.of());
    }

    private Long committable() {
        OffsetAndMetadata found = task.preCommit(Map.of(PARTITION, new OffsetAndMetadata(offset))).get(PARTITION);
        return found == null ? null : found.offset();
    }

    private static InvalidQueryException invalid(String message) {
        return new InvalidQueryException(null, message);
    }

    @Test
    void aTaskWhoseRowsAreNotAcknowledgedFailsWithTheLastError() throws InterruptedException {
        putOne();
        next().completeExceptionally(new DriverTimeoutException("no node was available"));
        next();  // the retry, which is never answered
        putNothing();
        later(59);
        putNothing();
        later(1);
        ConnectException raised = assertThrows(ConnectException.class, this::putNothing);
        assertEquals("Cassandra has acknowledged nothing for 60 s: no node was available", raised.getMessage());
        assertEquals(null, committable());
    }

    @Test
    void aTaskGoesOnWhileAnythingIsAcknowledged() throws InterruptedException {
        for (int each = 0; each < 5; each++) {
            putOne();
            putOne();
            later(40);
            next().complete("ok");
            putNothing();
        }
        assertEquals(5, committable());
    }

    @Test
    void timeWithoutRecordsIsNoStall() throws InterruptedException {
        for (int each = 0; each < 3; each++) {
            putOne();
            next().complete("ok");
            putNothing();
            later(3600);
        }
        putOne();
        putNothing();
        assertEquals(3, committable());
    }

    @Test
    void withoutASessionATaskRetriesForAWhileAndThenFails() {
        notOpened = new DriverTimeoutException("can't resolve cassandra");
        assertThrows(RetriableException.class, this::putNothing);
        later(59);
        assertThrows(RetriableException.class, this::putNothing);
        later(1);
        ConnectException raised = assertThrows(ConnectException.class, this::putNothing);
        assertEquals("Cassandra has acknowledged nothing for 60 s: can't resolve cassandra", raised.getMessage());
        assertTrue(!(raised instanceof RetriableException));
    }

    @Test
    void aSessionThatOpensAfterAllHasItsOwnTime() throws InterruptedException {
        notOpened = new DriverTimeoutException("starting");
        assertThrows(RetriableException.class, this::putNothing);
        later(59);
        notOpened = null;
        putOne();
        later(59);
        putNothing();
        next().complete("ok");
        putNothing();
        assertEquals(1, committable());
    }

    @Test
    void aMappingThatCassandraRefusesFailsTheTaskAtOnce() {
        notPrepared = invalid("Undefined column name price in table market.quotes");
        ConnectException raised = assertThrows(ConnectException.class, this::putNothing);
        assertEquals(
            "Cassandra refuses the mapping: Undefined column name price in table market.quotes", raised.getMessage());
        assertTrue(!(raised instanceof RetriableException));
    }

    @Test
    void aTableThatDoesNotExistYetIsWaitedFor() {
        notPrepared = invalid("unconfigured table quotes");
        assertThrows(RetriableException.class, this::putNothing);
        notPrepared = null;
        putNothing();
    }
}
