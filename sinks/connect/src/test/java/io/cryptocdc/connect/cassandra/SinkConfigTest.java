package io.cryptocdc.connect.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.cryptocdc.connect.cassandra.mapping.Expression.Fields;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping.TableMapping;
import io.cryptocdc.connect.cassandra.rows.TableWriter;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class SinkConfigTest {
    @Test
    void theConnectorOfTheReadmeIsAcceptedAndWritesItsOrders() throws IOException {
        Matcher block = Pattern.compile("```json\\n(.*?)```", Pattern.DOTALL).matcher(Files.readString(Path.of("README.md")));
        assertTrue(block.find());
        SinkConfig config = new SinkConfig(new ObjectMapper().readValue(block.group(1), new TypeReference<>() {}));
        TableMapping orders = config.topics.get("shop.orders").tables().get(0);
        assertEquals(
            "INSERT INTO \"shop\".\"orders_by_day\" (\"customer\", \"day\", \"ordered_at\", \"id\", \"amount\")"
                + " VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
            TableWriter.insertStatement(orders));
        long at = 1_700_000_000_000L;  // 2023-11-14T22:13:20Z
        Fields order = new Fields(
            Map.of("customer_id", "c7", "ordered_at", at, "updated_at", at + 5, "id", 7L, "amount", new BigDecimal("19.90")), 5, 6);
        Map<String, Object> row = new HashMap<>();
        orders.columns().forEach((column, expression) -> row.put(column, expression.of(order)));
        assertEquals(
            Map.of("customer", "c7", "day", 1_699_920_000_000L, "ordered_at", at, "id", 7L, "amount", new BigDecimal("19.90")), row);
        assertEquals((at + 5) * 1000, orders.timestamp().of(order));
    }
}
