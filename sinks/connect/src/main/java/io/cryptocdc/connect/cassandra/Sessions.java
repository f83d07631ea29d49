package io.cryptocdc.connect.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.ssl.ProgrammaticSslEngineFactory;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.apache.kafka.common.config.ConfigException;

/** Opens sessions of the driver. */
final class Sessions {
    private static final Duration REQUEST_LIMIT = Duration.ofSeconds(20);

    private Sessions() {}

    /** Raises the driver's exceptions, and ConfigException for an unusable certificate. */
    static CqlSession open(SinkConfig config) {
        ClassLoader loader = Sessions.class.getClassLoader();  // the plugin's, where the driver's defaults are
        CqlSessionBuilder builder = CqlSession.builder()
            .withClassLoader(loader)
            .withLocalDatacenter(config.getString(SinkConfig.DATACENTER))
            .withConfigLoader(DriverConfigLoader.programmaticBuilder(loader)
                .withString(DefaultDriverOption.REQUEST_CONSISTENCY, config.getString(SinkConfig.CONSISTENCY))
                .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, REQUEST_LIMIT)
                .withDuration(DefaultDriverOption.CONTROL_CONNECTION_TIMEOUT, REQUEST_LIMIT)
                .withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, Duration.ofSeconds(10))
                // Nodes may come back with other addresses: names are looked up again.
                .withBoolean(DefaultDriverOption.RESOLVE_CONTACT_POINTS, false)
                .withDuration(DefaultDriverOption.RECONNECTION_BASE_DELAY, Duration.ofMillis(500))
                .withDuration(DefaultDriverOption.RECONNECTION_MAX_DELAY, Duration.ofSeconds(10))
                .withBoolean(DefaultDriverOption.METADATA_SCHEMA_ENABLED, false)
                .withInt(DefaultDriverOption.NETTY_IO_SIZE, 1)
                .withInt(DefaultDriverOption.NETTY_ADMIN_SIZE, 1)
                .build());
        int port = config.getInt(SinkConfig.PORT);
        config.getList(SinkConfig.HOSTS).forEach(host ->
            builder.addContactPoint(InetSocketAddress.createUnresolved(host.trim(), port)));
        String username = config.getString(SinkConfig.USERNAME);
        if (username != null) {
            builder.withAuthCredentials(username, config.getPassword(SinkConfig.PASSWORD).value());
        }
        String authority = config.getString(SinkConfig.CA);
        if (authority != null) {
            builder.withSslEngineFactory(new ProgrammaticSslEngineFactory(trusting(authority), null, false));
        }
        return builder.build();
    }

    static SSLContext trusting(String pem) {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            byte[] bytes = pem.getBytes(StandardCharsets.UTF_8);
            int at = 0;
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(bytes))) {
                store.setCertificateEntry("ca-" + at++, each);
            }
            TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            managers.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, managers.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException | IOException error) {
            throw new ConfigException(SinkConfig.CA, "…", "not certificates in PEM: " + error.getMessage());
        }
    }
}
