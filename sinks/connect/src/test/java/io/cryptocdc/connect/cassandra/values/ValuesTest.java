package io.cryptocdc.connect.cassandra.values;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.datastax.oss.driver.api.core.CqlIdentifier;
import com.datastax.oss.driver.api.core.ProtocolVersion;
import com.datastax.oss.driver.api.core.type.DataType;
import com.datastax.oss.driver.api.core.type.DataTypes;
import com.datastax.oss.driver.api.core.type.UserDefinedType;
import com.datastax.oss.driver.api.core.type.codec.registry.CodecRegistry;
import com.datastax.oss.driver.internal.core.type.UserDefinedTypeBuilder;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** What is encoded is what the driver's own codecs decode. */
class ValuesTest {
    private static Object carried(DataType type, Object value) {
        return CodecRegistry.DEFAULT.codecFor(type).decode(Values.encode(type, value), ProtocolVersion.V5);
    }

    @Test
    void everyTypeIsWhatTheDriverReads() {
        UUID id = UUID.randomUUID();
        Map<DataType, Object[]> examples = new HashMap<>();
        examples.put(DataTypes.TEXT, new Object[] {"Zürich 東京", "Zürich 東京"});
        examples.put(DataTypes.BIGINT, new Object[] {Long.MIN_VALUE, Long.MIN_VALUE});
        examples.put(DataTypes.INT, new Object[] {-7L, -7});
        examples.put(DataTypes.SMALLINT, new Object[] {-7, (short) -7});
        examples.put(DataTypes.TINYINT, new Object[] {-7, (byte) -7});
        examples.put(DataTypes.VARINT, new Object[] {BigInteger.TEN.pow(30), BigInteger.TEN.pow(30)});
        examples.put(DataTypes.BOOLEAN, new Object[] {true, true});
        examples.put(DataTypes.DOUBLE, new Object[] {1.5, 1.5});
        examples.put(DataTypes.FLOAT, new Object[] {1.5, 1.5f});
        examples.put(DataTypes.TIMESTAMP, new Object[] {-1L, Instant.ofEpochMilli(-1)});
        examples.put(DataTypes.UUID, new Object[] {id.toString(), id});
        examples.put(DataTypes.listOf(DataTypes.DECIMAL), new Object[] {List.of("1.10", 2), List.of(new BigDecimal("1.10"), BigDecimal.valueOf(2))});
        examples.forEach((type, pair) -> assertEquals(pair[1], carried(type, pair[0]), type.toString()));
    }

    @Test
    void decimalsKeepExactlyTheirDigits() {
        for (String digits : List.of("0.35130000", "-0.00000100", "0", "12345678901234567890.12345678901234567890", "1E+3", "-1.5e-7")) {
            assertEquals(new BigDecimal(digits), carried(DataTypes.DECIMAL, digits));
        }
    }

    @Test
    void whatWouldLoseDigitsOrDoesNotFitIsRefused() {
        Map<Object, DataType> wrong = new HashMap<>();
        wrong.put("NaN", DataTypes.DECIMAL);
        wrong.put("1".repeat(201), DataTypes.DECIMAL);
        wrong.put(1.1, DataTypes.DECIMAL);
        wrong.put(1L << 40, DataTypes.INT);
        wrong.put(BigInteger.TWO.pow(64), DataTypes.BIGINT);
        wrong.put(1.0f, DataTypes.BIGINT);
        wrong.put(7, DataTypes.TEXT);
        wrong.put("true", DataTypes.BOOLEAN);
        wrong.put("x", DataTypes.UUID);
        wrong.put(List.of("1", "x"), DataTypes.listOf(DataTypes.DECIMAL));
        wrong.put(Map.of(), DataTypes.mapOf(DataTypes.TEXT, DataTypes.TEXT));
        wrong.forEach((value, type) -> assertThrows(Undeliverable.class, () -> Values.encode(type, value), String.valueOf(value)));
    }

    @Test
    void aStructHasItsFieldsInOrderAndNullWhereOneIsMissing() {
        UserDefinedType type = new UserDefinedTypeBuilder("ks", "audit").withField("op", DataTypes.TEXT).withField("lsn", DataTypes.BIGINT).build();
        var decoded = (com.datastax.oss.driver.api.core.data.UdtValue) carried(type, Map.of("op", "c"));
        assertEquals("c", decoded.getString(CqlIdentifier.fromInternal("op")));
        assertNull(decoded.getObject("lsn"));
        assertNull(Values.encode(DataTypes.TEXT, null));
    }
}
