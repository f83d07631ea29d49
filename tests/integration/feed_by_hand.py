"""A feed whose rows are inserted by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from cassandra.cluster import Session

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_local.applier import Servers, apply, delete
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.target import Target
from cryptocdc_verifier.verify import verify
from tests.integration.api_client import free_port
from tests.integration.conftest import CAPTURED
from tests.integration.rows import insert

HOUR_MS = 3_600_000


class Feed:
    """A feed without producers: rows come by hand, one consumer carries them."""

    def __init__(self, servers: Servers, folder: Path, name: str, **spec: Any) -> None:
        self.document = {
            "apiVersion": "cryptocdc.io/v1alpha1",
            "kind": "CryptoFeed",
            "metadata": {"name": name},
            "spec": {
                "exchange": "simulated",
                "symbols": {"names": ["BTCUSDT"]},
                "streams": {stream.name: {} for stream in CAPTURED},
                "scaling": {"partitions": 3},
                **spec,
            },
        }
        self.servers = servers
        self.file = folder / f"{name}.yaml"
        self.file.write_text(yaml.safe_dump(self.document))
        parsed = feeds.parse(self.document)
        self.plan: Plan = plan(ResolvedFeed(parsed, "simulated", ("BTCUSDT",)), servers.facts)
        self.target = Target(
            parsed, "simulated", servers.postgres, servers.kafka, servers.cassandra, servers.connect
        )  # fmt: skip
        self.consumer: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        parts = (self.servers.postgres, self.servers.kafka, self.servers.cassandra, self.servers.connect)
        given = {part.variable(k): str(v) for part in parts for k, v in part.model_dump(mode="json").items() if v}
        return {**os.environ, **given}

    def start(self) -> None:
        apply(self.plan, self.servers, lambda _: None)
        self.start_consumer()

    def start_consumer(self) -> None:
        own = {
            "CRYPTOCDC_FEED": str(self.file), "CRYPTOCDC_SOURCE": "simulated", "CRYPTOCDC_METRICS_HOST": "127.0.0.1",
            "CRYPTOCDC_METRICS_PORT": str(free_port()),
        }  # fmt: skip
        self.consumer = subprocess.Popen([sys.executable, "-m", "cryptocdc_consumer.main"], env=self.environment | own)

    def stop_consumer(self) -> None:
        if self.consumer is not None:
            self.consumer.send_signal(signal.SIGTERM)
            self.consumer.wait(60)
            self.consumer = None

    def stop(self) -> None:
        self.stop_consumer()
        delete(self.plan, self.servers, lambda _: None, everything=True)

    def insert(self, table: str, times: list[int], symbol: str = "BTCUSDT", **given: object) -> None:
        insert(self.servers.postgres, self.plan.names, by_table(table), times, symbol, **given)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        connection = postgres.connect(self.servers.postgres, "test", autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def verify(self, **more: Any) -> Report:
        return verify(self.target, explained=20, **more)

    def command(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cryptocdc_local.main", "verify", "-f", str(self.file), *more],
            env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


F = TypeVar("F", bound=Feed)


@contextmanager
def started(feed: F) -> Iterator[F]:
    """Apply the feed and run its consumer; delete it afterwards."""
    feed.start()
    yield feed
    feed.stop()


@contextmanager
def session_of(feed: Feed) -> Iterator[Session]:
    """A session in the feed's keyspace."""
    cluster, session = cassandra.connect(feed.servers.cassandra, feed.plan.names.keyspace)
    yield session
    cluster.shutdown()


def hour_before_last() -> int:
    """The start of the hour before the last, in milliseconds."""
    now = int(time.time() * 1000)
    return now - now % HOUR_MS - 2 * HOUR_MS
