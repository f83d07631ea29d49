package io.cryptocdc.connect.cassandra.rows;

import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import io.cryptocdc.connect.cassandra.mapping.Expression.Fields;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.Operation;
import io.cryptocdc.connect.cassandra.values.RecordFields;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import io.cryptocdc.connect.cassandra.values.Values;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.apache.kafka.connect.sink.SinkRecord;

/** Turns the records of a poll into rows, as the mapping says. No I/O but the preparing of statements at the start. */
public final class RecordWriter {
    private record Topic(TopicMapping mapping, List<TableWriter> tables) {}

    private record NewestKey(TableWriter table, List<ByteBuffer> key) {}

    private final Map<String, Topic> topics = new HashMap<>();

    public RecordWriter(Map<String, TopicMapping> mappings, String unavailable, Function<String, PreparedStatement> prepare) {
        mappings.forEach((name, mapping) -> {
            String field = mapping.operation() == null ? null : mapping.operation().field();
            List<TableWriter> tables = mapping.tables().stream()
                .map(table -> new TableWriter(table, field, unavailable, prepare)).toList();
            topics.put(name, new Topic(mapping, tables));
        });
    }

    /** The rows of all records that can be written; each of the others is given to `refused` with the reason. */
    public List<Row> rows(Collection<SinkRecord> records, long nowMs, BiConsumer<SinkRecord, Undeliverable> refused) {
        List<Row> rows = new ArrayList<>(records.size());
        Map<NewestKey, List<Row>> newest = new LinkedHashMap<>();
        for (SinkRecord record : records) {
            try {
                for (List<Row> ofTable : rows(record, nowMs)) {
                    keep(ofTable, rows, newest);
                }
            } catch (Undeliverable error) {
                refused.accept(record, error);
            }
        }
        newest.values().forEach(rows::addAll);
        return rows;
    }

    /** The record's rows by table, all or none: a record that fails for one table is not written to another. */
    private List<List<Row>> rows(SinkRecord record, long nowMs) {
        Topic topic = topics.get(record.topic());
        if (topic == null) {
            throw Undeliverable.undecodable("topic " + record.topic() + " is not in the mapping");
        }
        long recordMs = record.timestamp() == null ? nowMs : record.timestamp();
        Fields fields = new Fields(RecordFields.of(record.value()), recordMs, nowMs);
        boolean deletes = isDelete(topic.mapping(), fields);
        if (!deletes) {
            check(topic.mapping(), fields);
        }
        List<List<Row>> found = new ArrayList<>(topic.tables().size());
        for (TableWriter table : topic.tables()) {
            List<Row> rows = deletes ? table.deleted(fields, record) : table.written(fields, record);
            if (rows == null) {
                return List.of();
            }
            found.add(rows);
        }
        return found;
    }

    private static boolean isDelete(TopicMapping mapping, Fields fields) {
        Operation operation = mapping.operation();
        if (operation == null) {
            return false;
        }
        String found = Values.text(fields.get(operation.field()));
        if (operation.deletes().contains(found)) {
            return true;
        }
        if (operation.writes().contains(found)) {
            return false;
        }
        throw Undeliverable.undecodable(operation.field() + " " + Undeliverable.shown(found) + "; accepted: "
            + String.join(", ", operation.writes().stream().sorted().toList()) + ", "
            + String.join(", ", operation.deletes().stream().sorted().toList()));
    }

    private static void check(TopicMapping mapping, Fields fields) {
        for (String name : mapping.present()) {
            fields.get(name);
        }
        for (String name : mapping.required()) {
            if (fields.get(name) == null) {
                throw Undeliverable.undecodable("field " + name + " is null");
            }
        }
    }

    /** Of a table that has only the newest row of each key, a poll's other inserts would be overwritten at once. */
    private static void keep(List<Row> found, List<Row> rows, Map<NewestKey, List<Row>> newest) {
        if (found.isEmpty() || !found.get(0).table().newest()) {
            rows.addAll(found);
            return;
        }
        Row last = found.get(found.size() - 1);
        if (last.delete()) {
            rows.addAll(found);
            return;
        }
        NewestKey key = new NewestKey(last.table(), last.key());
        List<Row> kept = newest.get(key);
        if (kept == null || kept.get(kept.size() - 1).timestamp() < last.timestamp()) {
            newest.put(key, found);
        }
    }
}
