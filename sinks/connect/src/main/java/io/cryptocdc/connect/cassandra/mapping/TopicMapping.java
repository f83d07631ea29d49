package io.cryptocdc.connect.cassandra.mapping;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What becomes of a topic's records.
 *
 * @param operation the field that tells writes from deletes; null where every record is a write
 * @param present fields that a write must have, null or not
 * @param required fields that a write must have with a value
 */
public record TopicMapping(Operation operation, Set<String> present, Set<String> required, List<TableMapping> tables) {

    public record Operation(String field, Set<String> writes, Set<String> deletes) {}

    /**
     * A table that the records are written to.
     *
     * @param columns the value of each column
     * @param timestamp write time in microseconds
     * @param ttl null for rows that don't expire
     * @param newest whether only the newest of a poll's rows with the same `delete` key is written
     * @param replace null where a null is left unset and nothing else
     * @param delete null where deletes are ignored
     * @param histogram null where a record is one row
     */
    public record TableMapping(
        String table, Map<String, Expression> columns, Expression timestamp, Ttl ttl, boolean newest, Replace replace,
        Delete delete, Histogram histogram) {}

    /** Seconds that a row lives, counted from the time in `from`, a field in milliseconds; null counts from now. */
    public record Ttl(int seconds, String from) {}

    /**
     * A row with a null removes its older versions, up to `timestamp` - 1, so that no value of them shows through.
     *
     * @param first null, or which rows have no older version
     */
    public record Replace(First first) {}

    /** A row of the operation `operation` whose `time` (milliseconds) is on the UTC day of `written` (microseconds), or later. */
    public record First(String operation, String time, String written) {}

    /** The rows whose columns `where` have the record's values are deleted up to `timestamp`, in microseconds. */
    public record Delete(List<String> where, Expression timestamp) {}
}
