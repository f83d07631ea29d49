"""Apache Kafka in KRaft mode: broker and controller in one process, SASL on both listeners."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_local.platform.endpoints import KAFKA_USER
from cryptocdc_local.platform.installation.java import jvm_environment, jvm_options
from cryptocdc_local.platform.installation.programs import run_program
from cryptocdc_local.platform.servers.process import Command
from cryptocdc_local.platform.servers.server import Server, port_open
from cryptocdc_local.platform.settings import LOOPBACK, Ports

LOG4J = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.debezium.name = io.debezium
logger.debezium.level = info
"""


def plain_login(password: str, users: bool = False) -> str:
    """Return a JAAS entry for SASL/PLAIN; a broker's also lists the accepted users."""
    accepted = f' user_{KAFKA_USER}="{password}"' if users else ""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return f'{module} required username="{KAFKA_USER}" password="{password}"{accepted};'


def property_value(path: Path) -> str:
    """Return a path for java.util.Properties: ISO 8859-1, with the same escapes as JSON for everything else."""
    return json.dumps(str(path))[1:-1]


def server_properties(ports: Ports, data: Path, password: str) -> str:
    """Return the configuration of a single node: replication factor 1, no automatic topics, bounded disk usage."""
    jaas = plain_login(password, users=True)
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{LOOPBACK}:{ports.kafka_controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listeners=CLIENT://{LOOPBACK}:{ports.kafka},CONTROLLER://{LOOPBACK}:{ports.kafka_controller}
advertised.listeners=CLIENT://{LOOPBACK}:{ports.kafka}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config={jaas}
listener.name.controller.plain.sasl.jaas.config={jaas}
log.dirs={property_value(data)}

# A topic created by a typo would swallow data silently.
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2

# Bounded disk usage, for topics without a retention of their own.
log.segment.bytes=67108864
log.retention.hours=24
log.retention.bytes=1073741824
log.retention.check.interval.ms=60000
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
metadata.max.retention.bytes=33554432
metadata.log.segment.bytes=8388608

# A killed broker can register again only once its old session has expired: 9 s by default.
broker.session.timeout.ms=6000

# Consumers that start together should not wait for each other.
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
"""


class Kafka(Server):
    name = "kafka"

    def ports(self) -> dict[str, int]:
        ports = self.settings.ports
        return {"CRYPTOCDC_KAFKA_PORT": ports.kafka, "CRYPTOCDC_KAFKA_CONTROLLER_PORT": ports.kafka_controller}

    def prepare(self) -> None:
        ports, password = self.settings.ports, self.credentials.kafka
        self.account.write(self._log4j, LOG4J)
        self.account.write(self._properties, server_properties(ports, self.data, password))
        if not (self.data / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        """Format a temporary folder and rename it once it is complete."""
        properties = self.settings.run / "kafka-format.properties"
        draft = self.fresh_draft(str(properties))
        self.account.make_folder(draft)
        self.account.write(properties, server_properties(self.settings.ports, draft, self.credentials.kafka))
        # Hexadecimal, since one in 64 of the usual base64 ids begins with a dash, which the tool takes for an option.
        identity = ["--cluster-id", uuid.uuid4().hex]
        arguments = ["kafka.tools.StorageTool", "format", "--config", str(properties), *identity]
        try:
            run_program(self.account, [*self._java(64, "-XX:TieredStopAtLevel=1"), *arguments])
        finally:
            properties.unlink(missing_ok=True)
        draft.rename(self.data)

    @property
    def _properties(self) -> Path:
        return self.settings.run / "kafka.properties"

    @property
    def _log4j(self) -> Path:
        return self.settings.run / "kafka-log4j2.properties"

    @property
    def mark(self) -> str:
        return str(self._properties)

    def _java(self, heap_mb: int, *more: str) -> list[str]:
        return [
            str(self.java),
            *jvm_options(heap_mb, self.settings.temporary),
            *more,
            f"-Dlog4j2.configurationFile={self._log4j}",
            "-cp",
            f"{self.jars}/kafka/*",
        ]

    def command(self) -> Command:
        return Command(
            argv=[*self._java(self.settings.heaps.kafka, *self.archive.options()), "kafka.Kafka", self.mark],
            env=jvm_environment(self.settings.home),
            cwd=self.data,
        )

    def ready(self) -> bool:
        if not port_open(self.settings.ports.kafka):
            return False
        login = KafkaSettings(
            bootstrap=f"{LOOPBACK}:{self.settings.ports.kafka}", username=KAFKA_USER, password=self.credentials.kafka
        )
        try:
            return bool(AdminClient(client_config(login) | {"log_level": 2}).list_topics(timeout=3.0).brokers)
        except KafkaException:
            return False
