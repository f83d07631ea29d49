package io.cryptocdc.connect.cassandra.rows;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlIdentifier;
import com.datastax.oss.driver.api.core.ProtocolVersion;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.BoundStatementBuilder;
import com.datastax.oss.driver.api.core.cql.ColumnDefinition;
import com.datastax.oss.driver.api.core.cql.ColumnDefinitions;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.detach.AttachmentPoint;
import com.datastax.oss.driver.api.core.type.codec.registry.CodecRegistry;
import com.datastax.oss.driver.internal.core.cql.DefaultColumnDefinition;
import com.datastax.oss.driver.internal.core.cql.DefaultColumnDefinitions;
import com.datastax.oss.protocol.internal.ProtocolConstants;
import com.datastax.oss.protocol.internal.response.result.ColumnSpec;
import com.datastax.oss.protocol.internal.response.result.RawType;
import io.cryptocdc.connect.cassandra.mapping.MappingParser;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.jupiter.api.Test;

/** From records to statements, without a server: what is bound, what is unset, and what goes first. */
public class RecordWriterTest {
    private static final long DAY = 86_400_000L;
    private static final long NOW = 100 * DAY;
    private static final Map<String, Integer> TYPES = Map.of(
        "symbol", ProtocolConstants.DataType.VARCHAR, "price", ProtocolConstants.DataType.DECIMAL,
        "[ttl]", ProtocolConstants.DataType.INT);
    private static final String MAPPING = """
        {"quotes": {
          "operation": {"field": "op", "write": ["c", "u"], "delete": ["d"]},
          "present": ["price"], "required": ["symbol", "at"],
          "tables": [
            {"table": "market.quotes",
             "columns": {"symbol": "symbol", "day": {"floor": "at", "to": "day"}, "at": "at", "price": "price"},
             "timestamp": {"field": "at", "times": 1000}, "ttl": {"seconds": 864000, "from": "at"},
             "replace": {"first": {"operation": "c", "time": "at", "written": "us"}},
             "delete": {"where": ["symbol", "day", "at"], "timestamp": "us"}},
            {"table": "market.newest",
             "columns": {"symbol": "symbol", "at": "at", "price": "price"},
             "timestamp": {"field": "at", "times": 1000}, "newest": true, "replace": {},
             "delete": {"where": ["symbol"], "timestamp": {"field": "at", "times": 1000, "add": 999}}}]}}""";

    private final List<String> refused = new ArrayList<>();
    private final RecordWriter writer = new RecordWriter(MappingParser.parse(MAPPING), "gone", RecordWriterTest::prepared);

    /** A statement as Cassandra would describe it: its bind variables in order; the partition is symbol, and day if it is there. */
    public static PreparedStatement prepared(String cql) {
        Matcher columns = Pattern.compile("\\(([^)]*)\\) VALUES").matcher(cql);
        List<String> names = new ArrayList<>();
        if (columns.find()) {
            names.addAll(Arrays.stream(columns.group(1).split(", ")).toList());
            names.addAll(List.of("[timestamp]", "[ttl]"));
        } else {
            names.add("[timestamp]");
            Matcher where = Pattern.compile("(\"\\w+\") = \\?").matcher(cql);
            where.results().forEach(found -> names.add(found.group(1)));
        }
        List<ColumnDefinition> described = new ArrayList<>();
        for (int at = 0; at < names.size(); at++) {
            String name = names.get(at).replace("\"", "");
            RawType type = RawType.PRIMITIVES.get(TYPES.getOrDefault(name, ProtocolConstants.DataType.BIGINT));
            described.add(new DefaultColumnDefinition(new ColumnSpec("market", "t", name, at, type), AttachmentPoint.NONE));
        }
        ColumnDefinitions variables = DefaultColumnDefinitions.valueOf(described);
        List<Integer> key = Stream.of("\"symbol\"", "\"day\"").map(names::indexOf).filter(at -> at >= 0).toList();
        ByteBuffer[] unset = new ByteBuffer[names.size()];
        Arrays.fill(unset, ProtocolConstants.UNSET_VALUE);
        return (PreparedStatement) Proxy.newProxyInstance(
            PreparedStatement.class.getClassLoader(), new Class<?>[] {PreparedStatement.class}, (proxy, method, given) ->
                switch (method.getName()) {
                    case "getVariableDefinitions" -> variables;
                    case "getPartitionKeyIndices" -> key;
                    case "getQuery" -> cql;
                    case "boundStatementBuilder" -> new BoundStatementBuilder(
                        (PreparedStatement) proxy, variables, unset.clone(), null, null, null, null, null, Map.of(), null, false,
                        0, null, 0, null, null, null, CodecRegistry.DEFAULT, ProtocolVersion.V5);
                    default -> throw new UnsupportedOperationException(method.getName());
                });
    }

    private List<Row> rows(String... values) {
        List<SinkRecord> records = new ArrayList<>();
        for (String value : values) {
            records.add(new SinkRecord("quotes", 0, null, null, null, value.getBytes(StandardCharsets.UTF_8), records.size()));
        }
        return writer.rows(records, NOW, (record, reason) -> refused.add(reason.getMessage()));
    }

    private static String quote(String op, long at, String price) {
        return "{\"op\": \"" + op + "\", \"symbol\": \"BTCUSDT\", \"at\": " + at + ", \"price\": " + price + ", \"us\": " + NOW * 1000 + "}";
    }

    /** The kind of statement, its table, and what is bound to its variables; those that are unset are left out. */
    private static String shown(Row row) {
        BoundStatement bound = (BoundStatement) row.statement();
        String query = bound.getPreparedStatement().getQuery();
        String table = query.contains("\"newest\"") ? "newest" : "quotes";
        return (row.delete() ? "delete " : "insert ") + table + " " + Stream.iterate(0, at -> at + 1)
            .limit(bound.getPreparedStatement().getVariableDefinitions().size()).filter(bound::isSet)
            .map(at -> name(bound, at) + "=" + bound.getObject(at)).collect(Collectors.joining(" "));
    }

    private static String name(BoundStatement bound, int at) {
        CqlIdentifier name = bound.getPreparedStatement().getVariableDefinitions().get(at).getName();
        return name.asInternal().replaceAll("[\\[\\]]", "");
    }

    @Test
    void aRowHasItsColumnsItsVersionAndTheTtlThatIsLeft() {
        long at = NOW - 2 * DAY + 5;
        assertEquals(
            List.of(
                "insert quotes symbol=BTCUSDT day=" + (NOW - 2 * DAY) + " at=" + at + " price=1.10 timestamp=" + at * 1000 + " ttl=691201",
                "insert newest symbol=BTCUSDT at=" + at + " price=1.10 timestamp=" + at * 1000 + " ttl=0"),
            rows(quote("c", at, "\"1.10\"")).stream().map(RecordWriterTest::shown).toList());
    }

    @Test
    void anExpiredRowIsWrittenToNoTable() {
        assertEquals(List.of(), rows(quote("c", NOW - 10 * DAY, "\"1\"")));
        assertEquals(List.of(), refused);
    }

    @Test
    void aNullOfAFirstVersionIsUnsetAndNothingElse() {
        List<String> shown = rows(quote("c", NOW + 1, "null")).stream().map(RecordWriterTest::shown).toList();
        assertTrue(shown.get(0).startsWith("insert quotes symbol=BTCUSDT day=" + NOW + " at="), shown.get(0));
        assertFalse(shown.get(0).contains("price"), shown.get(0));
        // The newest row always follows another one.
        assertEquals("delete newest timestamp=" + ((NOW + 1) * 1000 - 1) + " symbol=BTCUSDT", shown.get(1));
        assertEquals(3, shown.size());
    }

    @Test
    void aNullThatMayFollowAValueRemovesTheOlderVersionsFirst() {
        for (String record : List.of(quote("u", NOW, "null"), quote("c", NOW - 1, "null"))) {
            List<Row> rows = rows(record);
            assertTrue(shown(rows.get(0)).startsWith("delete quotes timestamp="), shown(rows.get(0)));
            assertEquals(rows.get(1).timestamp() - 1, rows.get(0).timestamp());
            assertEquals(rows.get(0).partition(), rows.get(1).partition());
        }
    }

    @Test
    void aValueThatTheUpdateDidNotTouchIsLeftAlone() {
        List<String> shown = rows(quote("u", NOW, "\"gone\"")).stream().map(RecordWriterTest::shown).toList();
        assertEquals("insert quotes symbol=BTCUSDT day=" + NOW + " at=" + NOW + " timestamp=" + NOW * 1000 + " ttl=864000", shown.get(0));
        assertEquals(2, shown.size());
    }

    @Test
    void onlyTheNewestRowOfAKeyIsWrittenWhereTheTableHasNoOther() {
        List<String> shown = rows(quote("c", NOW + 2, "\"2\""), quote("c", NOW + 1, "\"1\"")).stream().map(RecordWriterTest::shown).toList();
        assertEquals(2, shown.stream().filter(row -> row.startsWith("insert quotes")).count());
        assertEquals(List.of("insert newest symbol=BTCUSDT at=" + (NOW + 2) + " price=2 timestamp=" + (NOW + 2) * 1000 + " ttl=0"),
            shown.stream().filter(row -> row.startsWith("insert newest")).toList());
    }

    @Test
    void aDeleteNeedsOnlyTheKeyAndGoesByItsOwnTime() {
        String deleted = "{\"op\": \"d\", \"symbol\": \"BTCUSDT\", \"at\": " + NOW + ", \"us\": 77}";
        assertEquals(
            List.of(
                "delete quotes timestamp=77 symbol=BTCUSDT day=" + NOW + " at=" + NOW,
                "delete newest timestamp=" + (NOW * 1000 + 999) + " symbol=BTCUSDT"),
            rows(deleted).stream().map(RecordWriterTest::shown).toList());
    }

    @Test
    void aRecordThatCantBeWrittenIsRefusedWithTheReasonAndItsNeighboursAreWritten() {
        List<Row> rows = rows(
            "garbage", quote("x", NOW, "\"1\""), quote("c", NOW, "\"NaN\""), quote("c", NOW, "1.5"),
            "{\"op\": \"c\", \"symbol\": null, \"at\": 1, \"price\": null}", quote("c", NOW, "\"1\""));
        assertEquals(2, rows.size());
        assertEquals(
            List.of(
                "undecodable: not JSON", "undecodable: op 'x'; accepted: c, u, d", "unencodable: column price: decimal 'NaN'",
                "undecodable: column price: decimal 1.5 is a float", "undecodable: field symbol is null"),
            refused.stream().map(reason -> reason.replaceAll("( is not a number|, which may|: Unrecognized).*", "")).toList());
    }
}
