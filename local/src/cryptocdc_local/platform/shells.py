"""A look at the rows, already logged in: psql, cqlsh, and the topics with their groups and lag."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from cryptocdc_adapters import offsets
from cryptocdc_adapters.kafka import client_config
from cryptocdc_core.settings import KafkaSettings
from cryptocdc_local.platform.endpoints import Endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.programs import postgres_programs
from cryptocdc_local.platform.settings import PlatformSettings

_LIMIT = 10.0  # seconds
_LONGEST_VALUE = 400  # characters of a record shown


def psql(settings: PlatformSettings, endpoints: Endpoints, arguments: Sequence[str] = ()) -> int:
    """psql as the owner of the database; its exit code."""
    return subprocess.call(
        [str(postgres_programs(settings.lib) / "psql"), *arguments],
        env={
            **os.environ,
            "PGHOST": endpoints.postgres_host,
            "PGPORT": str(endpoints.postgres_port),
            "PGDATABASE": endpoints.postgres_database,
            "PGUSER": endpoints.postgres_user,
            "PGPASSWORD": endpoints.postgres_password,
        },
    )


def cql(endpoints: Endpoints, arguments: Sequence[str] = ()) -> int:
    """Cassandra's own cqlsh; its exit code. The password goes by a file, since arguments show in the process list."""
    if find_spec("cqlshlib") is None:
        raise PlatformError("the Python package cqlsh is missing", "run `make setup`")
    with tempfile.NamedTemporaryFile("w", prefix="cqlsh-", suffix=".credentials") as login:
        login.write(
            f"[PlainTextAuthProvider]\nusername = {endpoints.cassandra_username}\n"
            f"password = {endpoints.cassandra_password}\n"
        )
        login.flush()
        command = [sys.executable, "-m", "cqlshlib", endpoints.cassandra_hosts, str(endpoints.cassandra_port)]
        command += ["--username", endpoints.cassandra_username, "--credentials", login.name, *arguments]
        return subprocess.call(command)


@dataclass(frozen=True)
class TopicFigures:
    """`records` between the first and last offset; `lag` by consumer group, of the groups that commit."""

    name: str
    partitions: int
    records: int
    lag: dict[str, int]


def topic_figures(settings: KafkaSettings) -> list[TopicFigures]:
    """All topics but Kafka's own. Raises KafkaException."""
    admin = AdminClient(client_config(settings))
    with _consumer(settings) as consumer:
        topics = consumer.list_topics(timeout=_LIMIT).topics
        names = sorted(name for name in topics if not name.startswith("__"))
        bounds = {
            (name, partition): consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=_LIMIT)
            for name in names
            for partition in topics[name].partitions
        }
    groups = [group.group_id for group in admin.list_consumer_groups().result(_LIMIT).valid]
    lag: dict[str, dict[str, int]] = {name: {} for name in names}
    for group in groups:
        for (topic, partition), offset in offsets.committed(settings, group, bounds, _LIMIT).items():
            lag[topic][group] = lag[topic].get(group, 0) + bounds[topic, partition][1] - offset
    return [
        TopicFigures(
            name,
            len(topics[name].partitions),
            sum(bounds[name, partition][1] - bounds[name, partition][0] for partition in topics[name].partitions),
            lag[name],
        )
        for name in names
    ]


def last_records(settings: KafkaSettings, topic: str, count: int) -> list[Message]:
    """The last `count` records of each partition, by time. PlatformError when there is no such topic."""
    with _consumer(settings) as consumer:
        metadata = consumer.list_topics(topic, timeout=_LIMIT).topics[topic]
        if metadata.error is not None:
            raise PlatformError(f"there is no topic {topic}", "`cryptocdc shell topics` lists them")
        records: list[Message] = []
        for partition in metadata.partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_LIMIT)
            if first < end:
                consumer.assign([TopicPartition(topic, partition, max(first, end - count))])
                records += _read_to_end(consumer, count)
    return sorted(records, key=lambda record: record.timestamp()[1])[-count:]


def _read_to_end(consumer: Consumer, most: int) -> list[Message]:
    """What the assigned partition still has; compaction may have left fewer records than offsets."""
    records: list[Message] = []
    while len(records) < most:
        message = consumer.poll(_LIMIT)
        if message is None or message.error() is not None:  # the end of the partition comes as an error
            break
        records.append(message)
    return records


def topics(settings: KafkaSettings, console: Console, topic: str | None = None, count: int = 10) -> None:
    """Print all topics, or the last records of one."""
    if topic is None:
        console.print(_topics_table(topic_figures(settings)))
        return
    for record in last_records(settings, topic, count):
        where = f"{record.partition()}:{record.offset()}"
        console.print(
            f"{where} {_text(record.key())} {_text(record.value())}", markup=False, highlight=False, soft_wrap=True
        )


def _topics_table(figures: list[TopicFigures]) -> Table:
    table = Table(box=None, header_style="bold")
    # Whole on any terminal: a name is there to be copied.
    table.add_column("topic", no_wrap=True, min_width=max((len(it.name) for it in figures), default=0))
    for column in ("partitions", "records"):
        table.add_column(column, justify="right")
    table.add_column("group: lag")
    for it in figures:
        lag = ", ".join(f"{group}: {behind:,}" for group, behind in sorted(it.lag.items()))
        table.add_row(it.name, str(it.partitions), f"{it.records:,}", lag or "-")
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"


@contextlib.contextmanager
def _consumer(settings: KafkaSettings) -> Iterator[Consumer]:
    """A consumer that belongs to no group and leaves no trace."""
    more = {"group.id": "cryptocdc-shell", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(client_config(settings) | more)
    try:
        yield consumer
    finally:
        consumer.close()
