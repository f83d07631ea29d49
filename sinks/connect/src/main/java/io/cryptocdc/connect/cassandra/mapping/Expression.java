package io.cryptocdc.connect.cassandra.mapping;

import io.cryptocdc.connect.cassandra.values.Undeliverable;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;

/** A value of a row, computed from a record. */
public interface Expression {
    Object of(Fields record);

    /** A record's fields, and when Kafka and the sink got it, in milliseconds. */
    record Fields(Map<String, Object> values, long recordMs, long nowMs) {
        public Object get(String name) {
            Object value = values.get(name);
            if (value == null && !values.containsKey(name)) {
                throw Undeliverable.undecodable("field " + name + " is missing");
            }
            return value;
        }

        /** A field that must be a whole number. */
        public long number(String name) {
            Object value = get(name);
            if (value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
                return ((Number) value).longValue();
            }
            if (value instanceof java.util.Date date) {
                return date.getTime();
            }
            throw Undeliverable.undecodable("field " + name + " is " + Undeliverable.shown(value) + " instead of a whole number");
        }

        public Fields with(Map<String, Object> more) {
            Map<String, Object> all = new LinkedHashMap<>(values);
            all.putAll(more);
            return new Fields(all, recordMs, nowMs);
        }
    }

    enum Unit {
        HOUR, DAY, MONTH;

        private static final long YEAR_1 = -62_135_596_800_000L;
        private static final long YEAR_10000 = 253_402_300_800_000L;

        long floor(long ms) {
            return switch (this) {
                case HOUR -> ms - Math.floorMod(ms, 3_600_000L);
                case DAY -> ms - Math.floorMod(ms, 86_400_000L);
                case MONTH -> month(ms);
            };
        }

        private static long month(long ms) {
            if (ms < YEAR_1 || ms >= YEAR_10000) {
                throw Undeliverable.unencodable("time " + ms + " is not in the years 1 to 9999");
            }
            return Instant.ofEpochMilli(ms).atOffset(ZoneOffset.UTC).truncatedTo(ChronoUnit.DAYS)
                .withDayOfMonth(1).toInstant().toEpochMilli();
        }
    }

    static Expression field(String name) {
        return record -> record.get(name);
    }

    static Expression constant(Object value) {
        return record -> value;
    }

    /** The start of the hour, day or month of a time in milliseconds; `finer` by the value of the field `by`. */
    static Expression floor(String time, Unit unit, String by, Map<String, Unit> finer) {
        return record -> {
            Unit chosen = by == null ? unit : finer.getOrDefault(String.valueOf(record.get(by)), unit);
            return chosen.floor(record.number(time));
        };
    }

    /** A field × `times` + `add`. */
    static Expression scaled(String name, long times, long add) {
        return record -> {
            try {
                return Math.addExact(Math.multiplyExact(record.number(name), times), add);
            } catch (ArithmeticException error) {
                throw Undeliverable.unencodable("field " + name + " is beyond 64 bits after × " + times + " + " + add);
            }
        };
    }

    /** Milliseconds of a time in microseconds. */
    static Expression micros(String name) {
        return record -> Math.floorDiv(record.number(name), 1000L);
    }

    static Expression recordTime() {
        return Fields::recordMs;
    }

    static Expression now() {
        return Fields::nowMs;
    }

    /** A value of a user-defined type, by its fields. */
    static Expression struct(Map<String, Expression> fields) {
        return record -> {
            Map<String, Object> made = new LinkedHashMap<>();
            fields.forEach((name, expression) -> made.put(name, expression.of(record)));
            return made;
        };
    }
}
