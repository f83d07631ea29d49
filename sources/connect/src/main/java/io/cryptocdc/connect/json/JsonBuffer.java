package io.cryptocdc.connect.json;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.json.JsonConverter;

/**
 * A growing buffer of JSON. It writes itself what rows consist of: numbers, booleans, printable ASCII text, and lists of
 * these. Everything else is written by JsonConverter, so its bytes, and its errors, are the same by construction.
 */
final class JsonBuffer {
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};
    private static final byte[] TRUE = {'t', 'r', 'u', 'e'};
    private static final byte[] FALSE = {'f', 'a', 'l', 's', 'e'};
    private static final int LONGEST_NUMBER = 20;
    /** A larger record's buffer is not kept. */
    private static final int LARGEST_KEPT = 1 << 20;

    private final JsonConverter json;
    private byte[] bytes = new byte[1024];
    private int size;
    private String topic;

    JsonBuffer(JsonConverter json) {
        this.json = json;
    }

    /** Returns a field's name, after `before` and with its colon. */
    byte[] name(String before, String name) {
        String quoted = new String(json.fromConnectData("", Schema.STRING_SCHEMA, name), StandardCharsets.UTF_8);
        return (before + quoted + ":").getBytes(StandardCharsets.UTF_8);
    }

    /** Returns whether JsonConverter writes null for a null of that schema, and neither a default nor an error. */
    static boolean writesNull(Schema schema) {
        return schema.isOptional() && schema.defaultValue() == null;
    }

    void start(String ofTopic) {
        topic = ofTopic;
        size = 0;
        if (bytes.length > LARGEST_KEPT) {
            bytes = new byte[1024];
        }
    }

    byte[] toBytes() {
        return Arrays.copyOf(bytes, size);
    }

    void write(char ascii) {
        reserve(1);
        bytes[size++] = (byte) ascii;
    }

    void write(byte[] more) {
        reserve(more.length);
        System.arraycopy(more, 0, bytes, size, more.length);
        size += more.length;
    }

    void writeNull() {
        write(NULL);
    }

    void write(Schema schema, Object value) {
        if (value instanceof String text) {
            write(schema, text);
        } else if (value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
            write(((Number) value).longValue());
        } else if (value instanceof Boolean flag) {
            write(flag ? TRUE : FALSE);
        } else if (value instanceof List<?> items && schema.type() == Schema.Type.ARRAY) {
            write(schema.valueSchema(), items);
        } else {
            write(json.fromConnectData(topic, schema, value));
        }
    }

    private void write(Schema itemSchema, List<?> items) {
        write('[');
        boolean first = true;
        for (Object item : items) {
            if (!first) {
                write(',');
            }
            first = false;
            write(itemSchema, item);
        }
        write(']');
    }

    private void write(Schema schema, String text) {
        int length = text.length();
        reserve(length + 2);
        byte[] to = bytes;
        int at = size;
        to[at++] = '"';
        for (int index = 0; index < length; index++) {
            char next = text.charAt(index);
            if (next < ' ' || next > '~' || next == '"' || next == '\\') {
                write(json.fromConnectData(topic, schema, text));
                return;
            }
            to[at++] = (byte) next;
        }
        to[at++] = '"';
        size = at;
    }

    private void write(long number) {
        if (number == Long.MIN_VALUE) {
            write(Long.toString(number).getBytes(StandardCharsets.US_ASCII));
            return;
        }
        reserve(LONGEST_NUMBER);
        long rest = Math.abs(number);
        if (number < 0) {
            bytes[size++] = '-';
        }
        int digits = 1;
        for (long above = 10; digits < 19 && rest >= above; above *= 10) {
            digits++;
        }
        int at = size += digits;
        while (rest > Integer.MAX_VALUE) {
            long tenth = rest / 10;
            bytes[--at] = (byte) ('0' + (rest - tenth * 10));
            rest = tenth;
        }
        int small = (int) rest;
        do {
            int tenth = small / 10;
            bytes[--at] = (byte) ('0' + (small - tenth * 10));
            small = tenth;
        } while (small > 0);
    }

    private void reserve(int more) {
        if (bytes.length - size < more) {
            bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, size + more));
        }
    }
}
