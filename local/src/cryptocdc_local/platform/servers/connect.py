"""Kafka Connect with Debezium and our plugins: one distributed worker, REST on loopback behind a password."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import requests

from cryptocdc_adapters import http_client
from cryptocdc_local.platform.endpoints import CONNECT_USER
from cryptocdc_local.platform.installation.jars import plugins_folder
from cryptocdc_local.platform.installation.java import jvm_environment, jvm_options
from cryptocdc_local.platform.servers.kafka import LOG4J, plain_login, property_value
from cryptocdc_local.platform.servers.process import Command
from cryptocdc_local.platform.servers.server import Server, port_open
from cryptocdc_local.platform.settings import LOOPBACK, Ports


def connect_properties(ports: Ports, plugins: Sequence[Path], kafka_password: str) -> str:
    """Return the worker's configuration; everything else is in the connector's configuration, which the plan makes."""
    lines = f"""\
bootstrap.servers={LOOPBACK}:{ports.kafka}
group.id=connect
listeners=http://{LOOPBACK}:{ports.connect}
rest.advertised.host.name={LOOPBACK}
rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension
plugin.path={",".join(map(property_value, plugins))}
plugin.discovery=service_load
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=4
status.storage.partitions=2
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
connector.client.config.override.policy=All

# At most a second is repeated after a crash, and PostgreSQL can remove its WAL that much sooner.
offset.flush.interval.ms=1000
task.shutdown.graceful.timeout.ms=5000

# With a single worker nobody else can take over, so a restarted one gets its connectors back immediately.
scheduled.rebalance.max.delay.ms=0

# Worker and broker start together, and on a busy machine the broker may need longer than the usual minute.
default.api.timeout.ms=170000

# A connection that hangs while it logs in, such as through a half-open link, is ended by no other timeout: by default
# the worker waits for it for minutes.
connections.max.idle.ms=30000

# Connectors name passwords as ${{env:CRYPTOCDC_CASSANDRA_PASSWORD}} and the like, so that REST never shows them.
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.env.param.allowlist.pattern=^CRYPTOCDC_.*
"""
    login = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": plain_login(kafka_password),
    }
    for prefix in ("", "producer.", "consumer.", "admin."):
        lines += "".join(f"{prefix}{key}={value}\n" for key, value in login.items())
    return lines


def rest_login(users_file: Path) -> str:
    """Return the JAAS entry KafkaConnect, which the REST extension looks up."""
    module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"
    return f'KafkaConnect {{\n  {module} required file="{users_file}";\n}};\n'


class Connect(Server):
    name = "connect"

    def ports(self) -> dict[str, int]:
        return {"CRYPTOCDC_CONNECT_PORT": self.settings.ports.connect}

    def prepare(self) -> None:
        run, users = self.settings.run, self.settings.run / "connect-users.properties"
        self.account.write(run / "connect-log4j2.properties", LOG4J)
        self.account.write(users, f"{CONNECT_USER}={self.credentials.connect}\n")
        self.account.write(run / "connect-jaas.conf", rest_login(users))
        text = connect_properties(
            self.settings.ports, (self.jars / "debezium", plugins_folder(self.settings.lib)), self.credentials.kafka
        )
        self.account.write(Path(self.mark), text)

    @property
    def mark(self) -> str:
        return str(self.settings.run / "connect.properties")

    def command(self) -> Command:
        run = self.settings.run
        return Command(
            argv=[
                str(self.java),
                *jvm_options(self.settings.heaps.connect, self.settings.temporary, passing=True),
                *self.archive.options(),
                f"-Dlog4j2.configurationFile={run / 'connect-log4j2.properties'}",
                f"-Djava.security.auth.login.config={run / 'connect-jaas.conf'}",
                "-cp",
                f"{self.jars}/kafka/*",
                "org.apache.kafka.connect.cli.ConnectDistributed",
                self.mark,
            ],
            env={
                **jvm_environment(self.settings.home),
                "CRYPTOCDC_REPLICATION_PASSWORD": self.credentials.postgres_replication,
                "CRYPTOCDC_CASSANDRA_PASSWORD": self.credentials.cassandra,
            },
            cwd=run,
        )

    def ready(self) -> bool:
        if not port_open(self.settings.ports.connect):
            return False
        url = f"http://{LOOPBACK}:{self.settings.ports.connect}/connectors"
        try:
            # Listing connectors waits for the worker to have joined its group and read its configuration.
            return http_client.get(url, auth=(CONNECT_USER, self.credentials.connect), timeout=3.0).ok
        except requests.RequestException:
            return False
