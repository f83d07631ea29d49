package io.cryptocdc.connect.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchStatementBuilder;
import com.datastax.oss.driver.api.core.cql.BatchType;
import io.cryptocdc.connect.cassandra.rows.RecordWriter;
import io.cryptocdc.connect.cassandra.rows.Row;
import io.cryptocdc.connect.cassandra.sending.Batch;
import io.cryptocdc.connect.cassandra.sending.BatchSender;
import io.cryptocdc.connect.cassandra.sending.Chunk;
import io.cryptocdc.connect.cassandra.sending.Progress;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.ErrantRecordReporter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes what Connect reads. Batches are sent concurrently; an offset is committed only when everything before it is
 * acknowledged by Cassandra or a dead letter. While Cassandra is slow the partitions are paused, and the group still polled;
 * if it acknowledges nothing for a while the task fails, and what is not committed is read again.
 */
public final class CassandraSinkTask extends SinkTask {
    private static final Logger LOG = LoggerFactory.getLogger(CassandraSinkTask.class);
    private static final long AGAIN_MS = 3_000;
    private static final long LOOK_MS = 50;
    private static final int REASON_LENGTH = 500;
    /** A dead letter that Kafka refuses for its size would block its partition for good. */
    private static final int MOST_BYTES = 3 << 19;

    private final Function<SinkConfig, CqlSession> open;
    private final Progress progress;
    private SinkConfig config;
    private ScheduledExecutorService timer;
    private CqlSession session;
    private RecordWriter writer;
    private BatchSender sender;
    private final Deque<Chunk> chunks = new ArrayDeque<>();
    private final Set<TopicPartition> owned = new HashSet<>();
    private final Map<TopicPartition, Long> done = new HashMap<>();
    private boolean paused;

    public CassandraSinkTask() {
        this(Sessions::open, System::nanoTime);
    }

    CassandraSinkTask(Function<SinkConfig, CqlSession> open, LongSupplier nanos) {
        this.open = open;
        progress = new Progress(nanos);
    }

    @Override
    public String version() {
        return new CassandraSinkConnector().version();
    }

    @Override
    public void start(Map<String, String> properties) {
        config = new SinkConfig(properties);
        timer = Executors.newSingleThreadScheduledExecutor(work -> {
            Thread thread = new Thread(work, "cassandra-sink-retries");
            thread.setDaemon(true);
            return thread;
        });
        sender = new BatchSender(this::send, timer, config.getInt(SinkConfig.IN_FLIGHT), progress);
    }

    @Override
    public void open(Collection<TopicPartition> partitions) {
        owned.addAll(partitions);
        if (paused) {
            context.pause(partitions.toArray(TopicPartition[]::new));
        }
    }

    @Override
    public void close(Collection<TopicPartition> partitions) {
        partitions.forEach(owned::remove);
        partitions.forEach(done::remove);
        // If a partition comes back, what was in flight must not commit less than its owner of meanwhile did.
        chunks.forEach(chunk -> partitions.forEach(chunk.offsets::remove));
    }

    @Override
    public void put(Collection<SinkRecord> records) {
        if (session == null) {
            connect();
        }
        if (sender.idle()) {
            progress.reset();
        }
        if (!records.isEmpty()) {
            write(records);
        }
        settle();
        if (!sender.idle()) {
            failIfStalled();
        }
        pause(sender.full());
        if (paused || !chunks.isEmpty()) {
            context.timeout(LOOK_MS);  // look again soon, also if nothing arrives
        }
    }

    private void write(Collection<SinkRecord> records) {
        Chunk chunk = new Chunk(records);
        List<Row> rows = writer.rows(records, System.currentTimeMillis(), (record, reason) -> chunk.await(report(record, reason)));
        List<Batch> batches = Batch.of(chunk, rows, config.getInt(SinkConfig.BATCH_ROWS), config.getInt(SinkConfig.BATCH_BYTES));
        chunk.pending.set(batches.size());
        chunks.add(chunk);
        sender.add(batches);
    }

    /**
     * Raises RetriableException, upon which Connect pauses, polls and offers the same records again; ConnectException if
     * Cassandra refuses a statement of the mapping, or if there was no session for too long.
     */
    private void connect() {
        CqlSession opened = null;
        try {
            opened = open.apply(config);
            CqlSession made = opened;
            writer = new RecordWriter(config.topics, config.getString(SinkConfig.UNAVAILABLE), made::prepare);
            session = made;
            LOG.info("writing to {}", config.getList(SinkConfig.HOSTS));
        } catch (DriverException error) {
            if (opened != null) {
                opened.close();
            }
            if (BatchSender.isPermanent(error)) {
                throw new ConnectException("Cassandra refuses the mapping: " + error.getMessage(), error);
            }
            progress.failed(error);
            failIfStalled();
            context.timeout(AGAIN_MS);
            throw new RetriableException("Cassandra: " + error.getMessage(), error);
        }
    }

    /**
     * Raises ConnectException after a while without an acknowledgement. A session keeps the password and the addresses of
     * its start: only a task that is started again reads the secrets and looks the names up again.
     */
    private void failIfStalled() {
        long waitingMs = progress.waitingMs();
        if (waitingMs >= config.getLong(SinkConfig.STALL_LIMIT)) {
            Throwable last = progress.lastError();
            throw new ConnectException("Cassandra has acknowledged nothing for " + waitingMs / 1000 + " s: "
                + (last == null ? "requests are not answered" : last.getMessage()), last);
        }
    }

    private CompletionStage<?> send(Batch batch) {
        BatchStatementBuilder builder = BatchStatement.builder(BatchType.UNLOGGED);
        batch.rows.forEach(row -> builder.addStatement(row.statement()));
        return session.executeAsync(builder.setIdempotence(true).build());
    }

    private void settle() {
        for (BatchSender.Refused each = sender.pollRefused(); each != null; each = sender.pollRefused()) {
            each.batch().chunk.await(report(each.row().origin(), each.reason()));
            each.batch().chunk.pending.decrementAndGet();
        }
        while (!chunks.isEmpty() && chunks.peek().complete()) {
            chunks.remove().offsets.forEach((partition, offset) -> {
                if (owned.contains(partition)) {
                    done.put(partition, offset);
                }
            });
        }
    }

    private void pause(boolean wanted) {
        if (wanted != paused) {
            TopicPartition[] all = owned.toArray(TopicPartition[]::new);
            if (wanted) {
                context.pause(all);
            } else {
                context.resume(all);
            }
            paused = wanted;
        }
    }

    /** Sends a record to Connect's dead-letter queue, unchanged, with its position and the reason as headers. */
    private Future<Void> report(SinkRecord record, Undeliverable reason) {
        ErrantRecordReporter reporter = context.errantRecordReporter();
        String where = record.originalTopic() + " [" + record.originalKafkaPartition() + "] " + record.originalKafkaOffset();
        if (reporter == null) {
            throw new ConnectException(where + ": " + reason.getMessage()
                + "; set errors.tolerance=all and errors.deadletterqueue.topic.name to put such records aside");
        }
        LOG.warn("dead letter: {}: {}", where, reason.getMessage());
        Object value = record.value();
        String text = reason.getMessage().length() > REASON_LENGTH ? reason.getMessage().substring(0, REASON_LENGTH) : reason.getMessage();
        if (value instanceof byte[] bytes && bytes.length > MOST_BYTES) {
            text += " (the first " + MOST_BYTES + " of its " + bytes.length + " bytes)";
            value = Arrays.copyOf(bytes, MOST_BYTES);
        }
        // A new record, not the one that Connect gave: of that it would send the original, without these headers.
        SinkRecord letter = new SinkRecord(record.topic(), record.originalKafkaPartition(), record.keySchema(), record.key(),
            record.valueSchema(), value, record.originalKafkaOffset(), record.timestamp(), record.timestampType());
        String prefix = config.getString(SinkConfig.PREFIX);
        config.headers.forEach((name, header) -> letter.headers().addString(name, header));
        letter.headers().addString(prefix + "reason", text);
        letter.headers().addString(prefix + "topic", record.originalTopic());
        letter.headers().addString(prefix + "partition", String.valueOf(record.originalKafkaPartition()));
        letter.headers().addString(prefix + "offset", String.valueOf(record.originalKafkaOffset()));
        return reporter.report(letter, reason);
    }

    @Override
    public Map<TopicPartition, OffsetAndMetadata> preCommit(Map<TopicPartition, OffsetAndMetadata> current) {
        settle();
        Map<TopicPartition, OffsetAndMetadata> ready = new HashMap<>();
        done.forEach((partition, offset) -> {
            if (current.containsKey(partition)) {
                ready.put(partition, new OffsetAndMetadata(offset));
            }
        });
        return ready;
    }

    @Override
    public void stop() {
        if (timer != null) {
            timer.shutdownNow();
        }
        if (session != null) {
            session.close();
        }
    }
}
