package io.cryptocdc.connect.json;

import java.util.IdentityHashMap;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * Writes the row of Debezium's envelope as flat JSON: the bytes of ExtractNewRecordState, with deletes rewritten and the
 * fields op, lsn and source.ts_us added, and JsonConverter without schemas. Keys, and values that are not an envelope,
 * become the bytes of that JsonConverter.
 *
 * <p>A source task has a converter of its own and one thread, so the buffer needs no lock.
 */
public final class FlatJsonConverter implements Converter {
    /** A table has a new schema after each change of its columns; old ones are never removed one by one. */
    private static final int MOST_WRITERS = 256;
    private static final String ENVELOPE = ".Envelope";

    private final JsonConverter json = new JsonConverter();
    private final JsonBuffer buffer = new JsonBuffer(json);
    private final Map<Schema, StructWriter> writers = new IdentityHashMap<>();
    private Schema lastSchema;
    private StructWriter lastWriter;
    private boolean unwrap;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        json.configure(Map.of("schemas.enable", "false"), isKey);
        unwrap = !isKey;
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        if (!(value instanceof Struct struct) || !struct.schema().equals(schema)) {
            return json.fromConnectData(topic, schema, value);
        }
        if (struct.schema() != lastSchema) {
            lastSchema = struct.schema();
            lastWriter = writer(lastSchema);
        }
        buffer.start(topic);
        lastWriter.write(buffer, struct);
        return buffer.toBytes();
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        return json.toConnectData(topic, value);
    }

    @Override
    public void close() {
        json.close();
    }

    private StructWriter writer(Schema schema) {
        if (writers.size() == MOST_WRITERS) {
            writers.clear();
        }
        return writers.computeIfAbsent(
            schema, of -> unwrap && isEnvelope(of) ? new EnvelopeWriter(of, buffer) : new RowWriter(of, buffer));
    }

    private static boolean isEnvelope(Schema schema) {
        return schema.name() != null && schema.name().endsWith(ENVELOPE);
    }
}
