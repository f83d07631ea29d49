package io.cryptocdc.connect.json;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;

/**
 * Writes the row of an envelope: the fields of `after`, or of `before` if the row was deleted, then `__deleted`, `__op`,
 * `__lsn` and `__source_ts_us`. Fields that the envelope's schema lacks are omitted.
 */
final class EnvelopeWriter implements StructWriter {
    private final String name;
    private final Field before;
    private final Field after;
    private final RowWriter row;
    private final byte[] kept;
    private final byte[] deleted;
    private final Field source;
    private final List<Added> added = new ArrayList<>();

    /** A field added to the row, of the envelope itself or of its `source`. */
    private record Added(byte[] name, boolean ofSource, Field field) {}

    EnvelopeWriter(Schema envelope, JsonBuffer out) {
        name = envelope.name();
        before = envelope.field("before");
        after = envelope.field("after");
        if (before == null || after == null || !before.schema().equals(after.schema())) {
            throw new DataException(name + ": the schemas of before and after differ, or one is missing");
        }
        row = new RowWriter(after.schema(), out);
        String separator = after.schema().fields().isEmpty() ? "" : ",";
        kept = (separator + "\"__deleted\":\"false\"").getBytes(StandardCharsets.US_ASCII);
        deleted = (separator + "\"__deleted\":\"true\"").getBytes(StandardCharsets.US_ASCII);
        source = envelope.field("source");
        add(out.name(",", "__op"), false, envelope.field("op"));
        addOfSource(out.name(",", "__lsn"), envelope, "lsn");
        addOfSource(out.name(",", "__source_ts_us"), envelope, "ts_us");
        for (String ours : List.of("__deleted", "__op", "__lsn", "__source_ts_us")) {
            if (after.schema().field(ours) != null) {
                throw new DataException(name + ": the table has a column " + ours + ", which is the name of an added field");
            }
        }
    }

    private void addOfSource(byte[] as, Schema envelope, String field) {
        Field found = source == null ? null : source.schema().field(field);
        add(as, found != null, found != null ? found : envelope.field(field));
    }

    private void add(byte[] as, boolean ofSource, Field field) {
        if (field != null) {
            added.add(new Added(as, ofSource, field));
        }
    }

    @Override
    public void write(JsonBuffer out, Struct envelope) {
        Struct image = (Struct) envelope.get(after);
        boolean gone = image == null;
        if (gone) {
            image = (Struct) envelope.get(before);
            if (image == null) {
                throw new DataException(name + ": a change without a row, before or after");
            }
        }
        row.writeFields(out, image);
        out.write(gone ? deleted : kept);
        Struct origin = source == null ? null : (Struct) envelope.get(source);
        for (Added field : added) {
            out.write(field.name);
            Struct from = field.ofSource ? origin : envelope;
            Object value = from == null ? null : from.get(field.field);
            if (value == null) {
                out.writeNull();
            } else {
                out.write(field.field.schema(), value);
            }
        }
        out.write('}');
    }
}
