package io.cryptocdc.connect.cassandra.sending;

import io.cryptocdc.connect.cassandra.rows.Row;
import io.cryptocdc.connect.cassandra.rows.TableWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Rows of one partition of one table, sent together. */
public final class Batch {
    public final Chunk chunk;
    public final List<Row> rows;
    int attempts;
    private int bytes;

    private Batch(Chunk chunk, List<Row> rows) {
        this.chunk = chunk;
        this.rows = rows;
    }

    /** Rows of a chunk in batches within a partition; a row and the removal of its older versions stay together. */
    public static List<Batch> of(Chunk chunk, List<Row> rows, int mostRows, int mostBytes) {
        record Key(TableWriter table, List<?> partition) {}
        List<Batch> all = new ArrayList<>();
        Map<Key, Batch> open = new LinkedHashMap<>();
        for (Row row : rows) {
            Key key = new Key(row.table(), row.partition());
            Batch batch = open.get(key);
            if (batch == null || batch.rows.size() >= mostRows || batch.bytes >= mostBytes) {
                batch = new Batch(chunk, new ArrayList<>());
                open.put(key, batch);
                all.add(batch);
            }
            batch.rows.add(row);
            batch.bytes += row.bytes();
        }
        return all;
    }

    /** Both halves, to find a row that Cassandra refuses. */
    List<Batch> halves() {
        int middle = rows.size() / 2;
        return List.of(new Batch(chunk, rows.subList(0, middle)), new Batch(chunk, rows.subList(middle, rows.size())));
    }
}
