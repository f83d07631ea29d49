package io.cryptocdc.connect.cassandra.values;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Struct;

/**
 * Reads a record's value as a flat map, whatever converter the connector has: bytes with JSON (ByteArrayConverter), with
 * or without a schema; a map or a Struct. Envelopes of Debezium are unwrapped as ExtractNewRecordState does, and decimals
 * as base64 or with a scale of their own become BigDecimal.
 */
public final class RecordFields {
    private static final int LARGEST_SCALE = 200;
    private static final ObjectReader JSON = new ObjectMapper().reader()
        .with(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).forType(Object.class);

    private RecordFields() {}

    /** Raises Undeliverable. */
    public static Map<String, Object> of(Object value) {
        Object document = value;
        if (value instanceof byte[] bytes) {
            try {
                document = JSON.readValue(bytes);
            } catch (IOException error) {
                throw Undeliverable.undecodable("not JSON: " + error.getMessage().lines().findFirst().orElse(""));
            }
        }
        Map<String, Integer> scales = Map.of();
        if (document instanceof Struct struct) {
            document = plain(struct);
        }
        if (document instanceof Map<?, ?> map && map.size() == 2 && map.containsKey("schema") && map.containsKey("payload")) {
            scales = new HashMap<>();
            collectScales(map.get("schema"), scales);
            document = map.get("payload");
        }
        if (!(document instanceof Map<?, ?>)) {
            throw Undeliverable.undecodable(
                document == null ? "a tombstone" : "a " + document.getClass().getSimpleName() + " instead of a change");
        }
        Map<String, Object> fields = mapped(document);
        if (fields.containsKey("op") && (fields.containsKey("before") || fields.containsKey("after"))) {
            fields = unwrapped(fields);
        }
        return decimals(fields, scales);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> mapped(Object document) {
        return (Map<String, Object>) document;
    }

    private static Map<String, Object> unwrapped(Map<String, Object> envelope) {
        Object op = envelope.get("op");
        Object image = envelope.get("d".equals(op) ? "before" : "after");
        if (!(image instanceof Map<?, ?>)) {
            throw Undeliverable.undecodable("op " + Undeliverable.shown(op) + " without the row's image");
        }
        Map<String, Object> fields = new LinkedHashMap<>(mapped(image));
        Map<String, Object> source = envelope.get("source") instanceof Map<?, ?> map ? mapped(map) : Map.of();
        fields.put("__op", op);
        fields.put("__lsn", source.get("lsn"));
        Object micros = source.get("ts_us");
        if (micros == null) {
            micros = source.get("ts_ms") instanceof Number ms ? ms.longValue() * 1000 : 0L;
        }
        fields.put("__source_ts_us", micros);
        return fields;
    }

    private static Map<String, Object> decimals(Map<String, Object> fields, Map<String, Integer> scales) {
        Map<String, Object> converted = null;
        for (Map.Entry<String, Object> entry : fields.entrySet()) {
            Object value = entry.getValue();
            Integer scale = scales.get(entry.getKey());
            Object exact = value instanceof List<?> items ? each(items, scale) : exact(value, scale);
            if (exact != value) {
                converted = converted == null ? new LinkedHashMap<>(fields) : converted;
                converted.put(entry.getKey(), exact);
            }
        }
        return converted == null ? fields : converted;
    }

    private static List<?> each(List<?> items, Integer scale) {
        if (scale == null && items.stream().noneMatch(Map.class::isInstance)) {
            return items;
        }
        List<Object> found = new ArrayList<>(items.size());
        items.forEach(item -> found.add(exact(item, scale)));
        return found;
    }

    private static Object exact(Object value, Integer scale) {
        if (value instanceof Map<?, ?> map && map.size() == 2 && map.containsKey("scale") && map.containsKey("value")) {
            if (!(map.get("scale") instanceof Number own)) {
                throw Undeliverable.undecodable("scale " + Undeliverable.shown(map.get("scale")) + " is not a number");
            }
            return unscaled(map.get("value"), own.intValue());
        }
        return scale == null || value == null ? value : unscaled(value, scale);
    }

    private static Object unscaled(Object value, int scale) {
        if (Math.abs(scale) > LARGEST_SCALE) {
            throw Undeliverable.undecodable("decimal with a scale of " + scale + "; at most " + LARGEST_SCALE + " is accepted");
        }
        byte[] bytes;
        if (value instanceof byte[] raw) {
            bytes = raw;
        } else if (value instanceof ByteBuffer raw) {
            bytes = new byte[raw.remaining()];
            raw.duplicate().get(bytes);
        } else if (value instanceof String text && !text.startsWith("__")) {  // a placeholder is no base64
            try {
                bytes = Base64.getDecoder().decode(text);
            } catch (IllegalArgumentException error) {
                throw Undeliverable.undecodable("decimal " + Undeliverable.shown(text) + " is not base64");
            }
        } else {
            return value;
        }
        BigInteger unscaled = bytes.length == 0 ? BigInteger.ZERO : new BigInteger(bytes);
        BigDecimal found = new BigDecimal(unscaled, scale);
        return scale < 0 ? found.setScale(0) : found;
    }

    /** Collects the scale of every decimal field of a Connect schema in JSON. */
    private static void collectScales(Object node, Map<String, Integer> found) {
        if (!(node instanceof Map<?, ?> schema) || !(schema.get("fields") instanceof Collection<?> fields)) {
            return;
        }
        for (Object each : fields) {
            if (each instanceof Map<?, ?> field) {
                Object inner = field.get("items") instanceof Map<?, ?> items ? items : field;
                Object parameters = ((Map<?, ?>) inner).get("parameters");
                if (parameters instanceof Map<?, ?> map && map.get("scale") != null) {
                    try {
                        found.put(String.valueOf(field.get("field")), Integer.parseInt(String.valueOf(map.get("scale"))));
                    } catch (NumberFormatException error) {
                        throw Undeliverable.undecodable("scale " + Undeliverable.shown(map.get("scale")) + " is not a number");
                    }
                }
                collectScales(field, found);
            }
        }
    }

    private static Map<String, Object> plain(Struct struct) {
        Map<String, Object> found = new LinkedHashMap<>();
        for (Field field : struct.schema().fields()) {
            found.put(field.name(), plain(struct.get(field)));
        }
        return found;
    }

    private static Object plain(Object value) {
        if (value instanceof Struct struct) {
            return plain(struct);
        }
        if (value instanceof List<?> items) {
            List<Object> found = new ArrayList<>(items.size());
            items.forEach(item -> found.add(plain(item)));
            return found;
        }
        return value;
    }
}
