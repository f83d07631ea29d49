package io.cryptocdc.connect.cassandra.rows;

import com.datastax.oss.driver.api.core.cql.BoundStatementBuilder;
import com.datastax.oss.driver.api.core.cql.ColumnDefinition;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.type.DataType;
import io.cryptocdc.connect.cassandra.mapping.Expression;
import io.cryptocdc.connect.cassandra.mapping.Expression.Fields;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.First;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.TableMapping;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import io.cryptocdc.connect.cassandra.values.Values;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.connect.sink.SinkRecord;

/** Turns records into the statements of one table. */
public final class TableWriter {
    private static final int FOREVER = 0;
    /** Cassandra's own limit: 20 years. */
    private static final int MOST_TTL = 630_720_000;

    private final TableMapping mapping;
    private final String operationField;
    private final String unavailable;
    private final PreparedStatement insert;
    private final PreparedStatement delete;
    private final List<String> names;
    private final List<Expression> values;

    TableWriter(TableMapping mapping, String operationField, String unavailable, Function<String, PreparedStatement> prepare) {
        this.mapping = mapping;
        this.operationField = operationField;
        this.unavailable = unavailable;
        names = List.copyOf(mapping.columns().keySet());
        values = List.copyOf(mapping.columns().values());
        insert = prepare.apply(insertStatement(mapping));
        delete = mapping.delete() == null ? null : prepare.apply(deleteStatement(mapping));
    }

    public static String insertStatement(TableMapping mapping) {
        return "INSERT INTO " + table(mapping) + " ("
            + mapping.columns().keySet().stream().map(TableWriter::quoted).collect(Collectors.joining(", "))
            + ") VALUES (" + String.join(", ", java.util.Collections.nCopies(mapping.columns().size(), "?"))
            + ") USING TIMESTAMP ? AND TTL ?";
    }

    public static String deleteStatement(TableMapping mapping) {
        return "DELETE FROM " + table(mapping) + " USING TIMESTAMP ? WHERE "
            + mapping.delete().where().stream().map(name -> quoted(name) + " = ?").collect(Collectors.joining(" AND "));
    }

    private static String table(TableMapping mapping) {
        return Arrays.stream(mapping.table().split("\\.", 2)).map(TableWriter::quoted).collect(Collectors.joining("."));
    }

    private static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    boolean newest() {
        return mapping.newest();
    }

    /** The statements for a record that was written; null if its row has expired. Raises Undeliverable. */
    List<Row> written(Fields record, SinkRecord origin) {
        long left = mapping.ttl() == null ? FOREVER : left(record);
        if (left <= 0 && mapping.ttl() != null) {
            return null;
        }
        int ttl = (int) Math.min(left, MOST_TTL);
        long timestamp = timestamp(mapping.timestamp(), record);
        List<Row> rows = new ArrayList<>(1);
        if (mapping.histogram() == null) {
            insert(record, timestamp, ttl, origin, rows);
        } else if (mapping.histogram().applies(record)) {
            List<Map<String, Object>> found = mapping.histogram().rows(record, unavailable);
            if (found != null) {
                found.forEach(bin -> insert(record.with(bin), timestamp, ttl, origin, rows));
                if (found.isEmpty() && delete != null) {  // an empty book has no bins: those of an earlier version go
                    rows.add(deleted(record, timestamp, origin));
                }
            }
        }
        return rows;
    }

    private long left(Fields record) {
        return mapping.ttl().from() == null ? mapping.ttl().seconds()
            : mapping.ttl().seconds() - Math.floorDiv(record.nowMs() - record.number(mapping.ttl().from()), 1000L);
    }

    /** The statements for a record that was deleted. */
    List<Row> deleted(Fields record, SinkRecord origin) {
        if (delete == null || mapping.histogram() != null && !mapping.histogram().applies(record)) {
            return List.of();
        }
        return List.of(deleted(record, timestamp(mapping.delete().timestamp(), record), origin));
    }

    private void insert(Fields record, long timestamp, int ttl, SinkRecord origin, List<Row> rows) {
        ByteBuffer[] encoded = new ByteBuffer[names.size()];
        boolean nulls = false;
        boolean untouched = false;
        boolean[] unset = new boolean[names.size()];
        int bytes = 0;
        for (int at = 0; at < encoded.length; at++) {
            Object value = values.get(at).of(record);
            if (value == null) {
                nulls = true;
                unset[at] = true;
            } else if (unavailable.equals(value) || value instanceof Collection<?> items && items.contains(unavailable)) {
                untouched = true;
                unset[at] = true;
            } else {
                encoded[at] = encode(insert, at, value);
                bytes += encoded[at].remaining();
            }
        }
        boolean replaced = nulls && mapping.replace() != null && !isFirst(record);
        if (replaced && !untouched) {
            rows.add(deleted(record, timestamp - 1, origin));
        }
        BoundStatementBuilder bound = insert.boundStatementBuilder();
        for (int at = 0; at < encoded.length; at++) {
            if (encoded[at] != null) {
                bound = bound.setBytesUnsafe(at, encoded[at]);
            } else if (replaced && untouched && values.get(at).of(record) == null) {
                // What the update did not touch is in an older version, which must stay: this null is a tombstone.
                bound = bound.setToNull(at);
            }
        }
        bound = bound.setLong(encoded.length, timestamp).setInt(encoded.length + 1, ttl);
        rows.add(new Row(this, partition(insert, encoded), key(encoded), timestamp, bound.build(), bytes, origin, false));
    }

    private List<ByteBuffer> partition(PreparedStatement prepared, ByteBuffer[] encoded) {
        List<ByteBuffer> key = new ArrayList<>();
        for (int at : prepared.getPartitionKeyIndices()) {
            if (encoded[at] == null) {
                String name = prepared.getVariableDefinitions().get(at).getName().asInternal();
                throw Undeliverable.undecodable("column " + name + " is null, which a key can't be");
            }
            key.add(encoded[at]);
        }
        return key;
    }

    private List<ByteBuffer> key(ByteBuffer[] encoded) {
        if (!mapping.newest()) {
            return List.of();
        }
        return mapping.delete().where().stream().map(name -> encoded[names.indexOf(name)]).toList();
    }

    private Row deleted(Fields record, long timestamp, SinkRecord origin) {
        List<String> where = mapping.delete().where();
        ByteBuffer[] encoded = new ByteBuffer[where.size() + 1];
        BoundStatementBuilder bound = delete.boundStatementBuilder().setLong(0, timestamp);
        for (int at = 1; at < encoded.length; at++) {
            Object value = mapping.columns().get(where.get(at - 1)).of(record);
            if (value == null) {
                throw Undeliverable.undecodable("column " + where.get(at - 1) + " is null, which a key can't be");
            }
            encoded[at] = encode(delete, at, value);
            bound = bound.setBytesUnsafe(at, encoded[at]);
        }
        List<ByteBuffer> key = mapping.newest() ? Arrays.asList(encoded).subList(1, encoded.length) : List.of();
        return new Row(this, partition(delete, encoded), key, timestamp, bound.build(), 8 * encoded.length, origin, true);
    }

    private boolean isFirst(Fields record) {
        First first = mapping.replace().first();
        return first != null && first.operation().equals(record.get(operationField))
            && Math.floorDiv(record.number(first.time()), 86_400_000L)
                >= Math.floorDiv(record.number(first.written()), 86_400_000_000L);
    }

    private static ByteBuffer encode(PreparedStatement prepared, int at, Object value) {
        ColumnDefinition column = prepared.getVariableDefinitions().get(at);
        DataType type = column.getType();
        try {
            return Values.encode(type, value);
        } catch (Undeliverable error) {
            throw error.at(column.getName().asInternal());
        }
    }

    private static long timestamp(Expression expression, Fields record) {
        Object value = expression.of(record);
        if (value instanceof Long || value instanceof Integer) {
            return ((Number) value).longValue();
        }
        throw Undeliverable.undecodable("write time " + Undeliverable.shown(value) + " is not a whole number");
    }
}
