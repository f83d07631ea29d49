"""Applies a plan on one machine: the counterpart of the operator, through the same adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.kafka.symbols import write_symbols
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication import shards, slots
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_core.catalogue import COMPUTED
from cryptocdc_core.planning.connector import for_plugins
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.program.settings import ServerSettings
from cryptocdc_core.storage.ddl import drop_cassandra, drop_postgres
from cryptocdc_core.storage.shards import Shard
from cryptocdc_local.running.handover import Handover

Report = Callable[[str], None]


class Servers(ServerSettings):
    """How each server of this machine is reached."""

    @property
    def facts(self) -> PlatformFacts:
        """The facts for a plan. Passwords are references that Connect's worker resolves, so REST never shows them."""
        return PlatformFacts(
            postgres_host=self.postgres.host,
            postgres_port=self.postgres.port,
            postgres_database=self.postgres.database,
            replication_user=self.replication.user,
            replication_password="${env:CRYPTOCDC_REPLICATION_PASSWORD}",  # noqa: S106 - a reference
            cassandra_hosts=self.cassandra.hosts,
            cassandra_port=self.cassandra.port,
            cassandra_datacenter=self.cassandra.datacenter,
            cassandra_user=self.cassandra.username,
            cassandra_password="${env:CRYPTOCDC_CASSANDRA_PASSWORD}",  # noqa: S106 - a reference
        )


@dataclass(frozen=True)
class Applied:
    added: list[str]
    removed: list[str]


def apply(plan: Plan, servers: Servers, report: Report, meanwhile: Callable[[], None] | None = None) -> Applied:
    """Create everything in `plan` that is missing. Idempotent.

    The three servers are handled in parallel, then the connectors: a slot is created after its publication, so that no
    change is missed. `meanwhile` is called while the connectors start: a snapshot includes rows that are written
    before the slot exists.
    """
    report("tables, topics and symbols")
    with ThreadPoolExecutor(3) as pool:
        tables = pool.submit(postgres.apply_schema, servers.postgres, plan.postgres)
        keyspace = pool.submit(cassandra.apply_schema, servers.cassandra, plan.cassandra)
        symbols = pool.submit(_apply_topics, plan, servers)
        tables.result()
        added, removed = symbols.result()
        keyspace.result()
    report("connector")
    with ThreadPoolExecutor(1) as pool:
        connectors = pool.submit(apply_connectors, plan, servers, report)
        if meanwhile is not None:
            meanwhile()
        connectors.result()
    return Applied(added, removed)


def _apply_topics(plan: Plan, servers: Servers) -> tuple[list[str], list[str]]:
    kafka.apply_topics(servers.kafka, plan.topics, servers.facts.topic_replication)
    return write_symbols(servers.kafka, plan.names.symbols_topic, plan.symbols)


def apply_connectors(plan: Plan, servers: Servers, report: Report) -> None:
    """Applying a feed allows new snapshots, which a lost slot needs to recover the changes it lost."""
    connect = Connect(servers.connect.url)
    plugins = connect.plugins()
    plan = replace(plan, connectors={shard: for_plugins(config, plugins) for shard, config in plan.connectors.items()})
    Handover(plan, servers, servers.facts, connect).run(report)
    found = observe(servers, connect, plan)
    for shard, config in plan.connectors.items():
        if shard in found and found[shard].lost is not None:
            new_snapshot(shard, servers, connect)
        connect.apply(shard.connector, config)
        state = connect.state(shard.connector)
        if state is not None and state.state == "STOPPED":  # by a run that gave up on its slot
            connect.resume(shard.connector)
    for shard in plan.connectors:
        connect.wait_running(shard.connector)


def observe(servers: Servers, connect: Connect, plan: Plan) -> dict[Shard, ShardState]:
    """Return the state of every slot and connector of the feed. Raises psycopg2.Error, ConnectError,
    requests.RequestException."""
    with contextlib.closing(postgres.connect(servers.postgres, "slots", autocommit=True)) as connection:
        return shards.observe(connection, connect, plan.names, len(plan.connectors))


def new_snapshot(shard: Shard, servers: Servers, connect: Connect) -> None:
    """Remove the connector's slot and position, so that it reads all its rows in PostgreSQL again. Idempotent."""
    connect.stop(shard.connector)
    connect.wait_stopped(shard.connector)
    slots.drop(servers.postgres, servers.replication, shard.slot)
    connect.reset_offsets(shard.connector)
    connect.resume(shard.connector)


def delete(plan: Plan, servers: Servers, report: Report, *, everything: bool) -> None:
    """Undo a plan: always remove connectors and slot, so that no WAL accumulates; the data only with `everything`."""
    connect = Connect(servers.connect.url)
    report("connector")
    connect.remove(plan.names.sink_connector)
    found = observe(servers, connect, plan)
    for shard in found:
        connect.delete(shard.connector)
    report("replication slot")
    for shard in found:
        slots.drop(servers.postgres, servers.replication, shard.slot)
    if not everything:
        report("symbols")
        write_symbols(servers.kafka, plan.names.symbols_topic, {})
        return
    report("topics in Kafka")
    # A computed stream may have been removed from the feed; its topic was kept.
    computed = {plan.names.change_topic(table) for table in COMPUTED}
    kafka.delete_topics(servers.kafka, sorted({topic.name for topic in plan.topics} | computed))
    report("tables in PostgreSQL")
    postgres.apply_schema(servers.postgres, drop_postgres(plan.names))
    report("tables in Cassandra")
    cassandra.apply_schema(servers.cassandra, drop_cassandra(plan.names))
