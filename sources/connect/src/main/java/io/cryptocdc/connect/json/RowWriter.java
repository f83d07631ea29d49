package io.cryptocdc.connect.json;

import java.util.List;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;

/** Writes a struct's fields in the order of its schema. */
final class RowWriter implements StructWriter {
    private final Field[] fields;
    private final byte[][] names;
    private final boolean[] nullable;

    RowWriter(Schema schema, JsonBuffer out) {
        List<Field> found = schema.fields();
        fields = found.toArray(new Field[0]);
        names = new byte[fields.length][];
        nullable = new boolean[fields.length];
        for (int at = 0; at < fields.length; at++) {
            names[at] = out.name(at == 0 ? "{" : ",", fields[at].name());
            nullable[at] = JsonBuffer.writesNull(fields[at].schema());
        }
    }

    @Override
    public void write(JsonBuffer out, Struct row) {
        writeFields(out, row);
        out.write('}');
    }

    /** Writes the object without its closing brace. */
    void writeFields(JsonBuffer out, Struct row) {
        if (fields.length == 0) {
            out.write('{');
        }
        for (int at = 0; at < fields.length; at++) {
            out.write(names[at]);
            Object value = row.get(fields[at]);
            if (value == null && nullable[at]) {
                out.writeNull();
            } else {
                out.write(fields[at].schema(), value);
            }
        }
    }
}
