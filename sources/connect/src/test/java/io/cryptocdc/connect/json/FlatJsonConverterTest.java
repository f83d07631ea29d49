package io.cryptocdc.connect.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.debezium.transforms.ExtractNewRecordState;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every record is compared with ExtractNewRecordState and JsonConverter, as Connect would chain them. */
class FlatJsonConverterTest {
    private static final String TOPIC = "cdc.feed.table";
    private static final Schema MICROS = SchemaBuilder.int64().name("io.debezium.time.Timestamp").version(1).build();
    private static final List<String> TEXTS = List.of(
        "", "BTCUSDT", "0.00010000", "a\"b", "back\\slash", "/", "<a&b'>", "tab\tline\nreturn\r", "\u0000\u0001\u001f", "\u007f",
        "\u0080\u00ff", "\u20ac", "\u5e01\u5b89\u4eba\u751fUSDT", "\ud83d\ude80 to the moon", "\u2028\u2029", "\ufeff", "half\ud83d", "\ude80half", "\ud83d\ud83d", "\ud83dhalf", "__debezium_unavailable_value");
    private static final List<Long> NUMBERS = List.of(
        0L, 1L, -1L, 9L, 10L, 99L, 100L, 1764374400123L, (long) Integer.MAX_VALUE, Integer.MAX_VALUE + 1L, (long) Integer.MIN_VALUE,
        999_999_999_999_999_999L, 1_000_000_000_000_000_000L, Long.MAX_VALUE, -Long.MAX_VALUE, Long.MIN_VALUE);

    private final Random random = new Random(13);
    private final ExtractNewRecordState<SourceRecord> unwrap = new ExtractNewRecordState<>();
    private final JsonConverter json = new JsonConverter();
    private final FlatJsonConverter values = new FlatJsonConverter();
    private final FlatJsonConverter keys = new FlatJsonConverter();

    @BeforeEach
    void configure() {
        unwrap.configure(Map.of("add.fields", "op,lsn,source.ts_us", "delete.tombstone.handling.mode", "rewrite"));
        json.configure(Map.of("schemas.enable", "false"), false);
        values.configure(Map.of(), false);
        keys.configure(Map.of(), true);
    }

    @AfterEach
    void close() throws IOException {
        unwrap.close();
        values.close();
        keys.close();
    }

    private static SchemaBuilder row() {
        return SchemaBuilder.struct().name("cdc.feed.table.Value").optional();
    }

    private static Schema envelope(Schema row, Schema source) {
        return SchemaBuilder.struct().name("cdc.feed.table.Envelope").version(2)
            .field("before", row).field("after", row).field("source", source).field("transaction", Schema.OPTIONAL_STRING_SCHEMA)
            .field("op", Schema.STRING_SCHEMA).field("ts_ms", Schema.OPTIONAL_INT64_SCHEMA).field("ts_us", Schema.OPTIONAL_INT64_SCHEMA)
            .build();
    }

    private static Schema envelope(Schema row) {
        return envelope(row, SchemaBuilder.struct().name("io.debezium.connector.postgresql.Source")
            .field("version", Schema.STRING_SCHEMA).field("ts_ms", Schema.INT64_SCHEMA).field("ts_us", Schema.OPTIONAL_INT64_SCHEMA)
            .field("lsn", Schema.OPTIONAL_INT64_SCHEMA).build());
    }

    private static Struct change(Schema envelope, String op, Struct before, Struct after, Long lsn) {
        Struct source = new Struct(envelope.field("source").schema())
            .put("version", "3.7.0.Final").put("ts_ms", 5L).put("ts_us", 5001L).put("lsn", lsn);
        return new Struct(envelope).put("op", op).put("before", before).put("after", after).put("source", source).put("ts_ms", 9L);
    }

    private byte[] chained(Struct value) {
        SourceRecord record = unwrap.apply(new SourceRecord(Map.of(), Map.of(), TOPIC, null, null, value.schema(), value));
        return json.fromConnectData(record.topic(), record.valueSchema(), record.value());
    }

    private String assertSame(Struct value) {
        String wanted = new String(chained(value), StandardCharsets.UTF_8);
        byte[] found = values.fromConnectData(TOPIC, value.schema(), value);
        assertEquals(wanted, new String(found, StandardCharsets.UTF_8));
        assertTrue(Arrays.equals(wanted.getBytes(StandardCharsets.UTF_8), found));
        return wanted;
    }

    /** Compares a row of every operation, and returns its JSON as an insert. */
    private String assertSameRow(Struct row) {
        Schema envelope = envelope(row.schema());
        assertSame(change(envelope, "u", null, row, 7L));
        assertSame(change(envelope, "u", row, row, 7L));
        assertSame(change(envelope, "r", null, row, null));
        assertSame(change(envelope, "d", row, null, Long.MAX_VALUE));
        return assertSame(change(envelope, "c", null, row, 7L));
    }

    private static Schema schema(String type, boolean nullable) {
        SchemaBuilder builder = switch (type) {
            case "text", "numeric" -> SchemaBuilder.string();
            case "bigint" -> SchemaBuilder.int64();
            case "integer" -> SchemaBuilder.int32();
            case "boolean" -> SchemaBuilder.bool();
            case "timestamp(3)" -> SchemaBuilder.int64().name(MICROS.name()).version(1);
            case "numeric[]" -> SchemaBuilder.array(Schema.OPTIONAL_STRING_SCHEMA);
            default -> throw new AssertionError(type);
        };
        return nullable ? builder.optional().build() : builder.build();
    }

    private Object value(Schema schema) {
        if (schema.isOptional() && random.nextInt(4) == 0) {
            return null;
        }
        return switch (schema.type()) {
            case STRING -> random.nextInt(3) > 0 ? BigDecimal.valueOf(random.nextLong(), 8).toPlainString() : pick(TEXTS);
            case INT64 -> random.nextBoolean() ? pick(NUMBERS) : (Long) (random.nextLong() >> random.nextInt(64));
            case INT32 -> (int) (random.nextLong() >> random.nextInt(64));
            case INT16 -> (short) random.nextInt();
            case INT8 -> (byte) random.nextInt();
            case FLOAT64 -> random.nextGaussian() * Math.pow(10, random.nextInt(40) - 20);
            case FLOAT32 -> random.nextFloat();
            case BOOLEAN -> random.nextBoolean();
            case BYTES -> Decimal.LOGICAL_NAME.equals(schema.name())
                ? BigDecimal.valueOf(random.nextInt(), 2) : ByteBuffer.wrap(new byte[] {1, (byte) random.nextInt()});
            case ARRAY -> {
                List<Object> items = new ArrayList<>();
                for (int left = random.nextInt(20); left > 0; left--) {
                    items.add(value(schema.valueSchema()));
                }
                yield items;
            }
            case MAP -> {
                Map<Object, Object> items = new LinkedHashMap<>();
                for (int left = random.nextInt(3); left > 0; left--) {
                    items.put(pick(TEXTS), value(schema.valueSchema()));
                }
                yield items;
            }
            case STRUCT -> struct(schema);
        };
    }

    private Struct struct(Schema schema) {
        Struct struct = new Struct(schema);
        for (Field field : schema.fields()) {
            struct.put(field, value(field.schema()));
        }
        return struct;
    }

    private <T> T pick(List<T> items) {
        return items.get(random.nextInt(items.size()));
    }

    @Test
    void everyCapturedTable() throws IOException {
        Map<String, SchemaBuilder> tables = new LinkedHashMap<>();
        try (InputStream file = getClass().getResourceAsStream("/tables.txt")) {
            for (String line : new String(file.readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
                String[] words = line.split(" ");
                tables.computeIfAbsent(words[0], table -> row())
                    .field(words[1], schema(words[2], words.length > 3));
            }
        }
        assertTrue(tables.size() > 5);
        for (SchemaBuilder table : tables.values()) {
            Schema row = table.build();
            for (int left = 40; left > 0; left--) {
                assertSameRow(struct(row));
            }
        }
    }

    @Test
    void anyTypeOfColumn() {
        List<Schema> types = List.of(
            Schema.STRING_SCHEMA, Schema.OPTIONAL_STRING_SCHEMA, Schema.INT8_SCHEMA, Schema.INT16_SCHEMA, Schema.OPTIONAL_INT32_SCHEMA,
            Schema.INT64_SCHEMA, Schema.FLOAT32_SCHEMA, Schema.OPTIONAL_FLOAT64_SCHEMA, Schema.BOOLEAN_SCHEMA, Schema.OPTIONAL_BYTES_SCHEMA,
            Decimal.schema(2), MICROS, SchemaBuilder.array(Schema.INT32_SCHEMA).optional().build(),
            SchemaBuilder.array(SchemaBuilder.array(Schema.OPTIONAL_FLOAT64_SCHEMA).build()).build(),
            SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.OPTIONAL_INT64_SCHEMA).build(),
            SchemaBuilder.struct().field("scale", Schema.INT32_SCHEMA).field("value", Schema.BYTES_SCHEMA).optional().build());
        for (int left = 300; left > 0; left--) {
            SchemaBuilder row = row();
            for (int column = random.nextInt(12); column >= 0; column--) {
                row.field(column % 3 == 0 ? "c\u00f6l\"" + column : "column" + column, pick(types));
            }
            assertSameRow(struct(row.build()));
        }
    }

    @Test
    void everyTextAndNumber() {
        Schema row = row().field("text", Schema.STRING_SCHEMA).field("number", Schema.INT64_SCHEMA).build();
        for (String text : TEXTS) {
            assertSameRow(new Struct(row).put("text", text).put("number", 0L));
        }
        Schema envelope = envelope(row);
        for (int code = 0; code < 0xd800; code += code < 0x900 ? 1 : 97) {
            assertSame(change(envelope, "c", null, new Struct(row).put("text", "a" + (char) code).put("number", (long) code), 1L));
        }
        for (long power = 1; power > 0; power *= 10) {
            for (long near = -2; near <= 2; near++) {
                assertSame(change(envelope, "c", null, new Struct(row).put("text", "").put("number", power + near), 1L));
                assertSame(change(envelope, "c", null, new Struct(row).put("text", "").put("number", -power + near), -1L));
            }
        }
        NUMBERS.forEach(number -> assertSameRow(new Struct(row).put("text", "").put("number", number)));
    }

    @Test
    void aNullBecomesTheColumnsDefault() {
        Schema row = row().field("a", SchemaBuilder.string().optional().defaultValue("x\"y").build())
            .field("b", SchemaBuilder.int64().optional().defaultValue(5L).build()).field("c", Schema.OPTIONAL_INT64_SCHEMA).build();
        assertEquals("{\"a\":\"x\\\"y\",\"b\":5,\"c\":null,\"__deleted\":\"false\",\"__op\":\"c\",\"__lsn\":7,\"__source_ts_us\":5001}",
            assertSameRow(new Struct(row)));
    }

    @Test
    void aSourceWithoutPositionOrWithoutTime() {
        Schema row = row().field("id", Schema.INT64_SCHEMA).build();
        Struct image = new Struct(row).put("id", 1L);
        Schema source = SchemaBuilder.struct().field("ts_ms", Schema.INT64_SCHEMA).build();
        Schema envelope = envelope(row, source);
        assertSame(new Struct(envelope).put("op", "c").put("after", image).put("source", new Struct(source).put("ts_ms", 5L)).put("ts_us", 6L));
    }

    @Test
    void aRowWithoutColumns() {
        assertSameRow(new Struct(row().build()));
    }

    @Test
    void whatIsNotAnEnvelopeStaysAsItIs() {
        Schema heartbeat = SchemaBuilder.struct().name("io.debezium.connector.common.Heartbeat").field("ts_ms", Schema.INT64_SCHEMA).build();
        assertEquals("{\"ts_ms\":1764374400123}", assertSame(new Struct(heartbeat).put("ts_ms", 1764374400123L)));
        Schema message = SchemaBuilder.struct().name("io.debezium.connector.postgresql.MessageValue").field("op", Schema.STRING_SCHEMA)
            .field("message", SchemaBuilder.struct().field("content", Schema.OPTIONAL_BYTES_SCHEMA).build()).build();
        assertSame(struct(message));
        for (Object value : new Object[] {"text\u20ac", 5L, true, null}) {
            Schema schema = value == null ? null : value instanceof String ? Schema.STRING_SCHEMA : value instanceof Long
                ? Schema.INT64_SCHEMA : Schema.BOOLEAN_SCHEMA;
            assertTrue(Arrays.equals(json.fromConnectData(TOPIC, schema, value), values.fromConnectData(TOPIC, schema, value)));
        }
        assertNull(values.fromConnectData(TOPIC, null, null));
    }

    @Test
    void aKeyIsNeverUnwrapped() {
        Schema schema = SchemaBuilder.struct().name("cdc.feed.table.Key").field("symbol", Schema.STRING_SCHEMA).build();
        for (String symbol : TEXTS) {
            Struct key = new Struct(schema).put("symbol", symbol);
            assertTrue(Arrays.equals(json.fromConnectData(TOPIC, schema, key), keys.fromConnectData(TOPIC, schema, key)), symbol);
        }
        Schema row = row().field("id", Schema.INT64_SCHEMA).build();
        Struct envelope = change(envelope(row), "c", null, new Struct(row).put("id", 1L), 1L);
        assertTrue(Arrays.equals(json.fromConnectData(TOPIC, envelope.schema(), envelope), keys.fromConnectData(TOPIC, envelope.schema(), envelope)));
        assertNull(keys.fromConnectData(TOPIC, null, null));
    }

    @Test
    void connectsOwnLogicalTypes() {
        Schema row = row().field("at", Timestamp.SCHEMA).field("price", Decimal.schema(2)).build();
        assertSameRow(new Struct(row).put("at", new Date(5)).put("price", new BigDecimal("1.10")));
    }

    @Test
    void aTablesColumnsChange() {
        for (int columns = 1; columns < 600; columns++) {
            SchemaBuilder row = row();
            for (int column = 0; column < columns % 7; column++) {
                row.field("c" + column, Schema.OPTIONAL_STRING_SCHEMA);
            }
            assertSameRow(struct(row.build()));
        }
    }

    @Test
    void aLargeRowDoesNotKeepItsMemory() {
        Schema row = row().field("text", Schema.STRING_SCHEMA).build();
        assertSameRow(new Struct(row).put("text", "x".repeat(3_000_000)));
        assertSameRow(new Struct(row).put("text", "small"));
    }

    @Test
    void aChangeWithoutARowIsRefused() {
        Schema row = row().field("id", Schema.INT64_SCHEMA).build();
        Struct value = change(envelope(row), "t", null, null, 1L);
        DataException error = assertThrows(DataException.class, () -> values.fromConnectData(TOPIC, value.schema(), value));
        assertTrue(error.getMessage().contains("without a row"), error.getMessage());
    }

    @Test
    void aColumnNamedAsAnAddedFieldIsRefused() {
        Schema row = row().field("__op", Schema.OPTIONAL_STRING_SCHEMA).build();
        Struct value = change(envelope(row), "c", null, new Struct(row), 1L);
        assertThrows(RuntimeException.class, () -> chained(value));
        assertThrows(DataException.class, () -> values.fromConnectData(TOPIC, value.schema(), value));
    }
}
