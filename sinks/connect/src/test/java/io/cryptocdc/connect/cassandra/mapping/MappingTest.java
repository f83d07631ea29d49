package io.cryptocdc.connect.cassandra.mapping;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.cryptocdc.connect.cassandra.mapping.Expression.Fields;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.TableMapping;
import io.cryptocdc.connect.cassandra.rows.TableWriter;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.junit.jupiter.api.Test;

class MappingTest {
    private static final String CANDLES = """
        {"candles": {"tables": [{
          "table": "market.candles",
          "columns": {"symbol": "symbol", "month": {"floor": "at", "to": "month", "by": "length", "finer": {"1s": "day"}},
                      "at": "at", "shard": {"value": 0}, "late": {"time": "record"}},
          "timestamp": {"field": "version", "times": 1000, "add": 999},
          "delete": {"where": ["symbol", "month"], "timestamp": "version"}}]}}""";

    private static TableMapping table() {
        return MappingParser.parse(CANDLES).get("candles").tables().get(0);
    }

    private static Object column(String name, Map<String, Object> fields) {
        return table().columns().get(name).of(new Fields(fields, 5, 6));
    }

    @Test
    void statementsNameTheTableAndItsColumns() {
        assertEquals(
            "INSERT INTO \"market\".\"candles\" (\"symbol\", \"month\", \"at\", \"shard\", \"late\") VALUES (?, ?, ?, ?, ?)"
                + " USING TIMESTAMP ? AND TTL ?",
            TableWriter.insertStatement(table()));
        assertEquals(
            "DELETE FROM \"market\".\"candles\" USING TIMESTAMP ? WHERE \"symbol\" = ? AND \"month\" = ?",
            TableWriter.deleteStatement(table()));
    }

    @Test
    void valuesAreFieldsConstantsTimesAndBuckets() {
        long at = 1_700_000_000_000L;  // 2023-11-14T22:13:20Z
        Map<String, Object> minute = Map.of("symbol", "BTCUSDT", "at", at, "length", "1m", "version", 7L);
        assertEquals("BTCUSDT", column("symbol", minute));
        assertEquals(1_698_796_800_000L, column("month", minute));
        assertEquals(1_699_920_000_000L, column("month", Map.of("at", at, "length", "1s")));
        assertEquals(0, column("shard", minute));
        assertEquals(5L, column("late", minute));
        assertEquals(7_999L, table().timestamp().of(new Fields(minute, 5, 6)));
    }

    @Test
    void bucketsBeforeTheEpochAreFlooredAndNotTruncated() {
        assertEquals(-3_600_000L, Expression.Unit.HOUR.floor(-1));
        assertEquals(-86_400_000L, Expression.Unit.DAY.floor(-1));
        assertEquals(-2_678_400_000L, Expression.Unit.MONTH.floor(-1));
    }

    @Test
    void aMissingFieldAndAWrongTimeAreNamed() {
        String missing = assertThrows(Undeliverable.class, () -> column("symbol", Map.of())).getMessage();
        assertEquals("undecodable: field symbol is missing", missing);
        Map<String, Object> wrong = new HashMap<>(Map.of("at", "soon", "length", "1m"));
        assertTrue(assertThrows(Undeliverable.class, () -> column("month", wrong)).getMessage().contains("'soon' instead of a whole number"));
    }

    @Test
    void whatIsWrongInAMappingIsNamedWithItsPathAndWhatIsAccepted() {
        Map<String, String> wrong = Map.of(
            "{", "not JSON",
            "{}", "at least one topic",
            CANDLES.replace("\"tables\"", "\"table\""), "no such field; accepted: operation, present, required, tables",
            CANDLES.replace("\"month\", \"by\"", "\"year\", \"by\""), "mapping.candles.tables[0].columns.month.to: accepted: hour, day or month",
            CANDLES.replace("{\"value\": 0}", "7"), "a field's name, or a mapping with value",
            CANDLES.replace("[\"symbol\", \"month\"]", "[\"venue\"]"), "some of symbol, month",
            CANDLES.replace("\"record\"", "\"yesterday\""), "record or now",
            CANDLES.replace("\"delete\":", "\"ttl\": {\"seconds\": 0}, \"delete\":"), "a whole number from 1 to",
            CANDLES.replace("\"timestamp\": {\"field\"", "\"stamp\": {\"field\""), "no such field");
        wrong.forEach((text, part) -> {
            String found = assertThrows(ConfigException.class, () -> MappingParser.parse(text), text).getMessage();
            assertTrue(found.contains(part.contains(": accepted") ? part.substring(part.indexOf("accepted")) : part), found);
        });
    }
}
