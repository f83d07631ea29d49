package io.cryptocdc.connect.cassandra.mapping;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.Delete;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.First;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.Operation;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.Replace;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.TableMapping;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.Ttl;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.apache.kafka.common.config.ConfigException;

/** Reads the setting `mapping`. Every error names the path in the document, the value and what is accepted. */
public final class MappingParser {
    public static final String SETTING = "mapping";
    private static final String EXPRESSIONS = "a field's name, or a mapping with value, field, floor, micros, time or fields";

    private MappingParser() {}

    public static Map<String, TopicMapping> parse(String text) {
        Object document;
        try {
            document = new ObjectMapper().readValue(text, Object.class);
        } catch (JsonProcessingException error) {
            throw new ConfigException(SETTING, text, "not JSON: " + error.getOriginalMessage());
        }
        Node root = new Node(SETTING, document);
        Map<String, TopicMapping> topics = new LinkedHashMap<>();
        root.keys().forEach(topic -> topics.put(topic, topic(root.at(topic))));
        if (topics.isEmpty()) {
            throw root.refused("at least one topic");
        }
        return topics;
    }

    private static TopicMapping topic(Node node) {
        node.only("operation", "present", "required", "tables");
        Operation operation = node.has("operation") ? operation(node.at("operation")) : null;
        return new TopicMapping(
            operation, new LinkedHashSet<>(node.texts("present")), new LinkedHashSet<>(node.texts("required")),
            node.at("tables").list(table -> table(table, operation)));
    }

    private static Operation operation(Node node) {
        node.only("field", "write", "delete");
        return new Operation(node.at("field").text(), Set.copyOf(node.texts("write")), Set.copyOf(node.texts("delete")));
    }

    private static TableMapping table(Node node, Operation operation) {
        node.only("table", "columns", "timestamp", "ttl", "newest", "replace", "delete", "histogram");
        Map<String, Expression> columns = expressions(node.at("columns"));
        Delete delete = node.has("delete") ? delete(node.at("delete"), columns) : null;
        boolean newest = node.has("newest") && node.at("newest").flag();
        Replace replace = node.has("replace") ? replace(node.at("replace")) : null;
        if (delete == null && (newest || replace != null)) {
            throw node.refused("a table with delete, which names the key that newest and replace need");
        }
        if (replace != null && replace.first() != null && operation == null) {
            throw node.refused("replace.first only where the topic has operation");
        }
        return new TableMapping(
            node.at("table").text(), columns, expression(node.at("timestamp")), node.has("ttl") ? ttl(node.at("ttl")) : null,
            newest, replace, delete, node.has("histogram") ? histogram(node.at("histogram")) : null);
    }

    private static Delete delete(Node node, Map<String, Expression> columns) {
        node.only("where", "timestamp");
        List<String> where = node.texts("where");
        if (where.isEmpty() || !columns.keySet().containsAll(where)) {
            throw node.at("where").refused("some of " + String.join(", ", columns.keySet()));
        }
        return new Delete(where, expression(node.at("timestamp")));
    }

    private static Replace replace(Node node) {
        node.only("first");
        if (!node.has("first")) {
            return new Replace(null);
        }
        Node first = node.at("first");
        first.only("operation", "time", "written");
        return new Replace(new First(first.at("operation").text(), first.at("time").text(), first.at("written").text()));
    }

    private static Ttl ttl(Node node) {
        node.only("seconds", "from");
        return new Ttl((int) node.at("seconds").number(1, 630_720_000), node.has("from") ? node.at("from").text() : null);
    }

    private static Histogram histogram(Node node) {
        node.only("time", "every_ms", "bins", "bid_prices", "bid_quantities", "ask_prices", "ask_quantities");
        return new Histogram(
            node.at("time").text(), node.at("every_ms").number(1, Long.MAX_VALUE), (int) node.at("bins").number(3, 1000),
            node.at("bid_prices").text(), node.at("bid_quantities").text(), node.at("ask_prices").text(),
            node.at("ask_quantities").text());
    }

    private static Map<String, Expression> expressions(Node node) {
        Map<String, Expression> found = new LinkedHashMap<>();
        node.keys().forEach(name -> found.put(name, expression(node.at(name))));
        if (found.isEmpty()) {
            throw node.refused("at least one column");
        }
        return found;
    }

    private static Expression expression(Node node) {
        if (node.value instanceof String name) {
            return Expression.field(name);
        }
        if (!(node.value instanceof Map<?, ?>)) {
            throw node.refused(EXPRESSIONS);
        }
        if (node.has("value")) {
            node.only("value");
            return Expression.constant(node.at("value").value);
        }
        if (node.has("floor")) {
            node.only("floor", "to", "by", "finer");
            Map<String, Expression.Unit> finer = new LinkedHashMap<>();
            if (node.has("by")) {
                Node units = node.at("finer");
                units.keys().forEach(value -> finer.put(value, unit(units.at(value))));
            }
            return Expression.floor(
                node.at("floor").text(), unit(node.at("to")), node.has("by") ? node.at("by").text() : null, finer);
        }
        if (node.has("field")) {
            node.only("field", "times", "add");
            return Expression.scaled(
                node.at("field").text(), node.has("times") ? node.at("times").number(Long.MIN_VALUE, Long.MAX_VALUE) : 1,
                node.has("add") ? node.at("add").number(Long.MIN_VALUE, Long.MAX_VALUE) : 0);
        }
        if (node.has("micros")) {
            node.only("micros");
            return Expression.micros(node.at("micros").text());
        }
        if (node.has("time")) {
            node.only("time");
            return switch (node.at("time").text()) {
                case "record" -> Expression.recordTime();
                case "now" -> Expression.now();
                default -> throw node.at("time").refused("record or now");
            };
        }
        if (node.has("fields")) {
            node.only("fields");
            return Expression.struct(expressions(node.at("fields")));
        }
        throw node.refused(EXPRESSIONS);
    }

    private static Expression.Unit unit(Node node) {
        try {
            return Expression.Unit.valueOf(node.text().toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException error) {
            throw node.refused("hour, day or month");
        }
    }

    /** A part of the document, with its path. */
    private record Node(String path, Object value) {
        Node at(String name) {
            if (!has(name)) {
                throw new ConfigException(path + "." + name, null, "is missing; it is required");
            }
            return new Node(path + "." + name, map().get(name));
        }

        boolean has(String name) {
            return map().containsKey(name);
        }

        Set<String> keys() {
            return map().keySet();
        }

        @SuppressWarnings("unchecked")
        private Map<String, Object> map() {
            if (value instanceof Map<?, ?>) {
                return (Map<String, Object>) value;
            }
            throw refused("a mapping");
        }

        void only(String... accepted) {
            for (String name : keys()) {
                if (!List.of(accepted).contains(name)) {
                    throw new ConfigException(path, name, "no such field; accepted: " + String.join(", ", accepted));
                }
            }
        }

        String text() {
            if (value instanceof String text && !text.isEmpty()) {
                return text;
            }
            throw refused("text");
        }

        boolean flag() {
            if (value instanceof Boolean flag) {
                return flag;
            }
            throw refused("true or false");
        }

        long number(long least, long most) {
            if (value instanceof Integer || value instanceof Long) {
                long number = ((Number) value).longValue();
                if (number >= least && number <= most) {
                    return number;
                }
            }
            throw refused("a whole number from " + least + " to " + most);
        }

        <T> List<T> list(Function<Node, T> made) {
            if (!(value instanceof List<?> items) || items.isEmpty()) {
                throw refused("a list with at least one entry");
            }
            List<T> found = new ArrayList<>();
            for (int at = 0; at < items.size(); at++) {
                found.add(made.apply(new Node(path + "[" + at + "]", items.get(at))));
            }
            return found;
        }

        List<String> texts(String name) {
            return has(name) ? at(name).list(Node::text) : List.of();
        }

        ConfigException refused(String accepted) {
            return new ConfigException(path, value, "accepted: " + accepted);
        }
    }
}
