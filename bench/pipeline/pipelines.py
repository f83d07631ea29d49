"""The embedded platform in its own folder and on its own ports, and the two pipelines compared on it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform, PlatformSettings, Ports
from cryptocdc_local.platform.progress import shown
from cryptocdc_local.platform.settings import home

PORTS = Ports(
    postgres=17432,
    kafka=17092,
    kafka_controller=17093,
    connect=17083,
    cassandra=17042,
    cassandra_internode=17700,
    api=17080,
)
SIMULATOR_PORT = 17090
SYMBOLS = tuple(f"S{number:02}USDT" for number in range(20))
PARTITIONS = 12
LIMIT_S = 300


@dataclass(frozen=True)
class BenchSettings(PlatformSettings):
    """Uses the servers installed by `make setup`; data and logs are in a separate folder, which is deleted."""

    @property
    def lib(self) -> Path:
        return home(os.environ) / "lib"


def bench_platform() -> Platform:
    ours = home(os.environ)
    return Platform(BenchSettings(ours.with_name(ours.name + "-bench"), PORTS))


def environment(platform: Platform) -> dict[str, str]:
    """Return the environment with which another process's `cryptocdc` uses the benchmark's platform."""
    ports = {f"CRYPTOCDC_{name.upper()}_PORT": str(port) for name, port in vars(PORTS).items()}
    own = {"CRYPTOCDC_HOME": str(platform.settings.home), "CRYPTOCDC_SIMULATOR_PORT": str(SIMULATOR_PORT)}
    return {**os.environ, **ports, **own}


@contextlib.contextmanager
def running(platform: Platform) -> Iterator[Servers]:
    """Start the platform from empty folders; erase it at the end."""
    platform.erase()
    try:
        with shown(Console(stderr=True)) as steps:
            endpoints = platform.start(steps)
        os.environ.update(endpoints.environment())
        yield Servers.from_env(endpoints.environment())
    finally:
        platform.erase()


def wait_until(what: str, probe: Callable[[], Any], every_s: float = 0.02, limit_s: float = LIMIT_S) -> Any:
    deadline = time.monotonic() + limit_s
    while not (result := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"timed out after {limit_s:.0f} s: {what}")
        time.sleep(every_s)
    return result


def bench_feed(name: str, folder: Path, symbols: Sequence[str] = SYMBOLS, **spec: object) -> Path:
    """Write a feed with one stream to a file; return its path."""
    document = {
        "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": name},
        "spec": {
            "exchange": "simulated", "symbols": {"names": list(symbols)}, "streams": {"recentTrades": {}},
            "retention": {"postgres": "keep", "kafka": "1d", "cassandra": "90d"},
            "scaling": {"partitions": PARTITIONS}, **spec,
        },
    }  # fmt: skip
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


class Pipeline:
    """A pipeline from PostgreSQL to Cassandra with its own tables, topics and connector."""

    def __init__(
        self, name: str, servers: Servers, folder: Path, symbols: Sequence[str] = SYMBOLS, **spec: object
    ) -> None:
        self.servers = servers
        self.symbols = symbols
        self.feed_file = bench_feed(name, folder, symbols, **spec)
        resolved = ResolvedFeed(feeds.load(self.feed_file), "simulated", tuple(symbols))
        self.plan: Plan = plan(resolved, servers.facts)
        self.connect = Connect(servers.connect.url)
        self.database = postgres.connect(servers.postgres, "bench")

    @property
    def topic(self) -> str:
        return self.plan.names.change_topic(RECENT_TRADES.table)

    def apply(self, connector: dict[str, str] | None = None) -> None:
        """Create tables, topics and the plan's connectors; `connector` replaces the configuration of the only one."""
        names = self.plan.names
        postgres.apply_schema(self.servers.postgres, self.plan.postgres)
        today = int(time.time() * 1000) // ddl.DAY_MS * ddl.DAY_MS
        days = [ddl.postgres_partition(names, RECENT_TRADES, today + n * ddl.DAY_MS) for n in (-1, 0, 1)]
        postgres.apply_schema(self.servers.postgres, days)
        kafka.apply_topics(self.servers.kafka, self.plan.topics, 1)
        cassandra.apply_schema(self.servers.cassandra, self.plan.cassandra)
        for shard, config in self.plan.connectors.items():
            self.connect.apply(shard.connector, config if connector is None else connector)
        self.wait_running()

    def wait_running(self) -> None:
        for shard in self.plan.connectors:
            self.connect.wait_running(shard.connector)

    def pause(self) -> None:
        for shard in self.plan.connectors:
            self.connect.stop(shard.connector)
        for shard in self.plan.connectors:
            self.connect.wait_stopped(shard.connector)

    def resume(self) -> None:
        for shard in self.plan.connectors:
            self.connect.resume(shard.connector)


def tutorial_connector(pipeline: Pipeline) -> dict[str, str]:
    """Return Debezium's configuration as in its tutorial: all defaults, including Connect's JSON schemas.

    Publication and slot are named because the benchmark's user is not a superuser, as on any managed PostgreSQL.
    """
    ours, names = pipeline.plan.connector, pipeline.plan.names
    return {
        **{key: value for key, value in ours.items() if key.startswith("database.")},
        "connector.class": ours["connector.class"],
        "tasks.max": "1",
        "topic.prefix": names.topic_prefix,
        "plugin.name": "pgoutput",
        "slot.name": names.slot,
        "publication.name": names.publication,
        "publication.autocreate.mode": "disabled",
        "table.include.list": f"{names.schema}.{RECENT_TRADES.table}",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "true",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
    }
