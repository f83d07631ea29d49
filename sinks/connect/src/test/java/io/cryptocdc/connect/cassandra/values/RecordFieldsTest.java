package io.cryptocdc.connect.cassandra.values;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.junit.jupiter.api.Test;

class RecordFieldsTest {
    private static Map<String, Object> of(String json) {
        return RecordFields.of(json.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void flatJsonIsTakenAsItIs() {
        assertEquals(Map.of("price", "1.10", "id", 7), of("{\"price\": \"1.10\", \"id\": 7}"));
    }

    @Test
    void anEnvelopeBecomesItsRow() {
        Map<String, Object> fields = of("{\"before\": null, \"after\": {\"id\": 7}, \"op\": \"c\", \"source\": {\"lsn\": 5, \"ts_ms\": 3}}");
        assertEquals(Map.of("id", 7, "__op", "c", "__lsn", 5, "__source_ts_us", 3000L), fields);
    }

    @Test
    void aDeletedRowIsTheOneBefore() {
        Map<String, Object> fields = of("{\"before\": {\"id\": 7}, \"after\": null, \"op\": \"d\", \"source\": {\"lsn\": 5, \"ts_us\": 3}}");
        assertEquals(Map.of("id", 7, "__op", "d", "__lsn", 5, "__source_ts_us", 3), fields);
    }

    @Test
    void decimalsAsBase64KeepTheirDigits() {
        String schema = "{\"type\": \"struct\", \"fields\": [{\"field\": \"price\", \"type\": \"bytes\", \"parameters\": {\"scale\": \"2\"}}]}";
        assertEquals(new BigDecimal("1.10"), of("{\"schema\": " + schema + ", \"payload\": {\"price\": \"bg==\"}}").get("price"));
        assertEquals(new BigDecimal("-1.10"), of("{\"price\": {\"scale\": 2, \"value\": \"kg==\"}}").get("price"));
    }

    @Test
    void aStructWithDecimalsAndLists() {
        Schema schema = SchemaBuilder.struct().field("price", Decimal.schema(2)).field("levels", SchemaBuilder.array(Schema.STRING_SCHEMA)).build();
        Struct struct = new Struct(schema).put("price", new BigDecimal("1.10")).put("levels", List.of("2.0"));
        assertEquals(Map.of("price", new BigDecimal("1.10"), "levels", List.of("2.0")), RecordFields.of(struct));
    }

    @Test
    void whatIsNoRowIsRefusedWithTheReason() {
        Map<String, String> reasons = Map.of(
            "garbage", "undecodable: not JSON", "[1]", "instead of a change", "null", "a tombstone",
            "{} {}", "undecodable: not JSON", "{\"op\": \"u\", \"after\": null}", "without the row's image",
            "{\"p\": {\"scale\": 999, \"value\": \"bg==\"}}", "at most 200");
        reasons.forEach((json, reason) -> {
            String found = assertThrows(Undeliverable.class, () -> of(json), json).getMessage();
            assertTrue(found.contains(reason), found);
        });
        assertThrows(Undeliverable.class, () -> RecordFields.of(null));
    }
}
