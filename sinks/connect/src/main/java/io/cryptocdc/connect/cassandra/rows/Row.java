package io.cryptocdc.connect.cassandra.rows;

import com.datastax.oss.driver.api.core.cql.BatchableStatement;
import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.connect.sink.SinkRecord;

/**
 * A statement, and the record it comes from.
 *
 * @param partition the values of the partition key
 * @param key the row's values of the table's delete key; only the newest row of a key is written where the table says so
 * @param delete whether it deletes: a row, or the older versions of the row that follows
 */
public record Row(
    TableWriter table, List<ByteBuffer> partition, List<ByteBuffer> key, long timestamp, BatchableStatement<?> statement, int bytes,
    SinkRecord origin, boolean delete) {}
