package io.cryptocdc.connect.cassandra;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/** Writes records of any topics into tables of Cassandra, as its `mapping` says. Every task has the whole configuration. */
public final class CassandraSinkConnector extends SinkConnector {
    private Map<String, String> given = Map.of();

    @Override
    public void start(Map<String, String> properties) {
        new SinkConfig(properties);
        given = Map.copyOf(properties);
    }

    @Override
    public Class<? extends Task> taskClass() {
        return CassandraSinkTask.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int most) {
        return Collections.nCopies(most, given);
    }

    @Override
    public void stop() {
        // The tasks own everything that must be closed.
    }

    @Override
    public ConfigDef config() {
        return SinkConfig.DEFINITION;
    }

    @Override
    public String version() {
        return "0.1.0";
    }
}
