"""Shells that are already logged in: psql, cqlsh, and the topics with their groups and lag."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.topics import bounds, read_to_ends
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_local.platform.endpoints import Endpoints
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.programs import postgres_programs
from cryptocdc_local.platform.settings import PlatformSettings

_LIMIT = 10.0  # seconds
_LONGEST_VALUE = 400  # characters of a record shown


def psql(settings: PlatformSettings, endpoints: Endpoints, arguments: Sequence[str] = ()) -> int:
    """Run psql as the owner of the database and return its exit code."""
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
    """Run cqlsh and return its exit code. The password is passed in a file, since arguments are in the process list."""
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
    """`records` is the number between the first and last offset; `lag` is by consumer group, for groups that commit."""

    name: str
    partitions: int
    records: int
    lag: dict[str, int]


def topic_figures(settings: KafkaSettings) -> list[TopicFigures]:
    """Return the figures of all topics except Kafka's own. Raises KafkaException."""
    admin = AdminClient(client_config(settings))
    topics = admin.list_topics(timeout=_LIMIT).topics
    spans = offsets.ends(admin, sorted(name for name in topics if not name.startswith("__")), _LIMIT)
    lag: dict[str, dict[str, int]] = {}
    for group in admin.list_consumer_groups().result(_LIMIT).valid:
        for at, offset in offsets.committed(settings, group.group_id, spans, _LIMIT).items():
            of_topic = lag.setdefault(at[0], {})
            of_topic[group.group_id] = of_topic.get(group.group_id, 0) + offsets.lag(spans[at], offset)
    return [
        TopicFigures(
            name,
            len(topics[name].partitions),
            sum(end - first for (topic, _), (first, end) in spans.items() if topic == name),
            lag.get(name, {}),
        )
        for name in dict.fromkeys(topic for topic, _ in spans)
    ]


def last_records(settings: KafkaSettings, topic: str, count: int) -> list[Message]:
    """Return the last `count` records of a topic, by time. Raises PlatformError if there is no such topic."""
    with _consumer(settings) as consumer:
        if topic not in consumer.list_topics(timeout=_LIMIT).topics:
            raise PlatformError(f"there is no topic {topic}", "`cryptocdc shell topics` lists them")
        spans = {p: (max(first, end - count), end) for p, (first, end) in bounds(consumer, topic).items()}
        records = list(read_to_ends(consumer, topic, spans))
    return sorted(records, key=lambda record: record.timestamp()[1])[-count:]


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
    # Never truncated, so that names can be copied.
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
    """Return a consumer that joins no group and leaves no trace."""
    consumer = Consumer(client_config(settings, group_id="cryptocdc-shell", enable_auto_commit=False))
    try:
        yield consumer
    finally:
        consumer.close()
