package io.cryptocdc.connect.cassandra.values;

import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.ASCII;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.BIGINT;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.BLOB;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.BOOLEAN;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.DECIMAL;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.DOUBLE;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.FLOAT;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.INT;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.SMALLINT;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.TIMESTAMP;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.TINYINT;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.UUID;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.VARCHAR;
import static com.datastax.oss.protocol.internal.ProtocolConstants.DataType.VARINT;

import com.datastax.oss.driver.api.core.type.DataType;
import com.datastax.oss.driver.api.core.type.ListType;
import com.datastax.oss.driver.api.core.type.SetType;
import com.datastax.oss.driver.api.core.type.UserDefinedType;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Serializes values for the native protocol, exactly: a value that would lose digits is refused. */
public final class Values {
    private static final Pattern NUMBER = Pattern.compile("-?\\d{1,200}(?:\\.\\d{1,200})?(?:[eE][+-]?\\d{1,3})?");

    private Values() {}

    /** Returns the value's bytes, null for null. Raises Undeliverable. */
    public static ByteBuffer encode(DataType type, Object value) {
        if (value == null) {
            return null;
        }
        return switch (type.getProtocolCode()) {
            case VARCHAR, ASCII -> ByteBuffer.wrap(text(value).getBytes(StandardCharsets.UTF_8));
            case BIGINT, TIMESTAMP -> ByteBuffer.allocate(8).putLong(0, whole(value, Long.MIN_VALUE, Long.MAX_VALUE));
            case INT -> ByteBuffer.allocate(4).putInt(0, (int) whole(value, Integer.MIN_VALUE, Integer.MAX_VALUE));
            case SMALLINT -> ByteBuffer.allocate(2).putShort(0, (short) whole(value, Short.MIN_VALUE, Short.MAX_VALUE));
            case TINYINT -> ByteBuffer.allocate(1).put(0, (byte) whole(value, Byte.MIN_VALUE, Byte.MAX_VALUE));
            case BOOLEAN -> ByteBuffer.wrap(new byte[] {(byte) (flag(value) ? 1 : 0)});
            case DECIMAL -> decimalBytes(decimal(value));
            case VARINT -> ByteBuffer.wrap(integer(value).toByteArray());
            case DOUBLE -> ByteBuffer.allocate(8).putDouble(0, floating(value));
            case FLOAT -> ByteBuffer.allocate(4).putFloat(0, (float) floating(value));
            case UUID -> uuid(value);
            case BLOB -> blob(value);
            default -> composed(type, value);
        };
    }

    private static ByteBuffer composed(DataType type, Object value) {
        if (type instanceof ListType list) {
            return elements(list.getElementType(), value);
        }
        if (type instanceof SetType set) {
            return elements(set.getElementType(), value);
        }
        if (type instanceof UserDefinedType struct) {
            return struct(struct, value);
        }
        throw Undeliverable.unencodable("columns of type " + type.asCql(true, true) + " are not supported");
    }

    private static ByteBuffer elements(DataType type, Object value) {
        if (!(value instanceof Collection<?> items)) {
            throw wrong(value, "a list");
        }
        List<ByteBuffer> encoded = new ArrayList<>(items.size());
        for (Object item : items) {
            if (item == null) {
                throw Undeliverable.unencodable("null in a list");
            }
            encoded.add(encode(type, item));
        }
        return joined(encoded, true);
    }

    private static ByteBuffer struct(UserDefinedType type, Object value) {
        if (!(value instanceof Map<?, ?> fields)) {
            throw wrong(value, "the fields of " + type.getName());
        }
        List<ByteBuffer> encoded = new ArrayList<>();
        for (int at = 0; at < type.getFieldNames().size(); at++) {
            encoded.add(encode(type.getFieldTypes().get(at), fields.get(type.getFieldNames().get(at).asInternal())));
        }
        return joined(encoded, false);
    }

    /** Each value after its length, -1 for null; `counted` puts the number of values first. */
    private static ByteBuffer joined(List<ByteBuffer> values, boolean counted) {
        int size = counted ? 4 : 0;
        for (ByteBuffer value : values) {
            size += 4 + (value == null ? 0 : value.remaining());
        }
        ByteBuffer all = ByteBuffer.allocate(size);
        if (counted) {
            all.putInt(values.size());
        }
        for (ByteBuffer value : values) {
            if (value == null) {
                all.putInt(-1);
            } else {
                all.putInt(value.remaining()).put(value.duplicate());
            }
        }
        return all.flip();
    }

    private static ByteBuffer decimalBytes(BigDecimal value) {
        byte[] unscaled = value.unscaledValue().toByteArray();
        return ByteBuffer.allocate(4 + unscaled.length).putInt(value.scale()).put(unscaled).flip();
    }

    /** A decimal with exactly the digits given, trailing zeros included. A floating-point number may have lost some. */
    public static BigDecimal decimal(Object value) {
        if (value instanceof BigDecimal exact) {
            return exact;
        }
        if (value instanceof String text) {
            Matcher found = NUMBER.matcher(text);
            if (!found.matches()) {
                throw Undeliverable.unencodable(
                    "decimal " + Undeliverable.shown(text) + " is not a number with at most 200 digits on either side of the point");
            }
            return new BigDecimal(text);
        }
        if (value instanceof Double || value instanceof Float) {
            throw Undeliverable.undecodable(
                "decimal " + value + " is a float, which may have lost digits; a string or base64 is accepted");
        }
        return new BigDecimal(integer(value));
    }

    private static long whole(Object value, long least, long most) {
        BigInteger found = integer(value);
        if (found.bitLength() > 63 || found.longValue() < least || found.longValue() > most) {
            throw Undeliverable.unencodable(value + " is not in " + least + " to " + most);
        }
        return found.longValue();
    }

    private static BigInteger integer(Object value) {
        if (value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
            return BigInteger.valueOf(((Number) value).longValue());
        }
        if (value instanceof BigInteger integer) {
            return integer;
        }
        if (value instanceof java.util.Date date) {  // Connect's Timestamp and Date
            return BigInteger.valueOf(date.getTime());
        }
        throw wrong(value, "a whole number");
    }

    private static double floating(Object value) {
        if (value instanceof Number number) {
            return number.doubleValue();
        }
        throw wrong(value, "a number");
    }

    private static boolean flag(Object value) {
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw wrong(value, "true or false");
    }

    public static String text(Object value) {
        if (value instanceof String text) {
            return text;
        }
        throw wrong(value, "text");
    }

    private static ByteBuffer uuid(Object value) {
        try {
            java.util.UUID found = java.util.UUID.fromString(text(value));
            return ByteBuffer.allocate(16).putLong(found.getMostSignificantBits()).putLong(found.getLeastSignificantBits()).flip();
        } catch (IllegalArgumentException error) {
            throw wrong(value, "a UUID");
        }
    }

    private static ByteBuffer blob(Object value) {
        if (value instanceof byte[] bytes) {
            return ByteBuffer.wrap(bytes);
        }
        if (value instanceof ByteBuffer bytes) {
            return bytes.duplicate();
        }
        throw wrong(value, "bytes");
    }

    private static Undeliverable wrong(Object value, String accepted) {
        return Undeliverable.undecodable(Undeliverable.shown(value) + " is not accepted; accepted: " + accepted);
    }
}
