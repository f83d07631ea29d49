package io.cryptocdc.connect.cassandra;

import io.cryptocdc.connect.cassandra.mapping.MappingParser;
import io.cryptocdc.connect.cassandra.mapping.TopicMapping;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Range;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigException;

/** The connector's settings. Raises ConfigException, which names the setting, its value and what is accepted. */
final class SinkConfig extends AbstractConfig {
    static final String HOSTS = "cassandra.hosts";
    static final String PORT = "cassandra.port";
    static final String DATACENTER = "cassandra.datacenter";
    static final String USERNAME = "cassandra.username";
    static final String PASSWORD = "cassandra.password";
    static final String CA = "cassandra.ca";
    static final String CONSISTENCY = "cassandra.consistency";
    static final String MAPPING = MappingParser.SETTING;
    static final String UNAVAILABLE = "unavailable.value";
    static final String IN_FLIGHT = "batches.in.flight";
    static final String BATCH_ROWS = "batch.rows";
    static final String BATCH_BYTES = "batch.bytes";
    static final String STALL_LIMIT = "stall.limit.ms";
    static final String PREFIX = "dead.letter.header.prefix";
    static final String HEADERS = "dead.letter.headers";

    static final ConfigDef DEFINITION = new ConfigDef()
        .define(HOSTS, Type.LIST, Importance.HIGH, "Contact points of the cluster, separated by commas.")
        .define(PORT, Type.INT, 9042, Range.between(1, 65535), Importance.MEDIUM, "Port of the native protocol.")
        .define(DATACENTER, Type.STRING, Importance.HIGH, "Data centre whose nodes are written to.")
        .define(USERNAME, Type.STRING, null, Importance.MEDIUM, "Role; without it there is no login.")
        .define(PASSWORD, Type.PASSWORD, "", Importance.MEDIUM, "Password of the role.")
        .define(CA, Type.STRING, null, Importance.LOW,
            "Certificate authority in PEM, which switches TLS on. Host names are not verified.")
        .define(CONSISTENCY, Type.STRING, "LOCAL_QUORUM", Importance.LOW, "Consistency level of writes.")
        .define(MAPPING, Type.STRING, Importance.HIGH, "What is written where, as JSON: see the README.")
        .define(UNAVAILABLE, Type.STRING, "__debezium_unavailable_value", Importance.LOW,
            "Placeholder of a value that an update did not change: its column is left unset.")
        .define(IN_FLIGHT, Type.INT, 32, Range.between(1, 1024), Importance.LOW, "Batches sent and not answered.")
        .define(BATCH_ROWS, Type.INT, 300, Range.between(1, 5000), Importance.LOW, "Statements in a batch.")
        .define(BATCH_BYTES, Type.INT, 128 * 1024, Range.between(1024, 8 << 20), Importance.LOW,
            "Bytes of values in a batch, which is within one partition.")
        .define(STALL_LIMIT, Type.LONG, 60_000L, Range.atLeast(1), Importance.LOW,
            "The task fails if Cassandra has acknowledged nothing for so long although something waits for it.")
        .define(PREFIX, Type.STRING, "cassandra.sink.", Importance.LOW,
            "Prefix of a dead letter's headers: reason, topic, partition and offset.")
        .define(HEADERS, Type.LIST, "", Importance.LOW, "More headers of a dead letter, as name=value.");

    final Map<String, TopicMapping> topics;
    final Map<String, String> headers = new LinkedHashMap<>();

    SinkConfig(Map<String, String> given) {
        super(DEFINITION, given, false);
        topics = MappingParser.parse(getString(MAPPING));
        for (String pair : getList(HEADERS)) {
            int at = pair.indexOf('=');
            if (at < 1) {
                throw new ConfigException(HEADERS, pair, "accepted: name=value");
            }
            headers.put(pair.substring(0, at), pair.substring(at + 1));
        }
    }
}
