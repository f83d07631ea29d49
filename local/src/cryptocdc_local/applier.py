"""Applies a plan on one machine: the counterpart of the operator, through the same adapters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptocdc_adapters import cassandra, kafka, postgres, slots
from cryptocdc_adapters.connect import Connect
from cryptocdc_adapters.symbols import write_symbols
from cryptocdc_core.catalogue import COMPUTED
from cryptocdc_core.ddl import drop_cassandra, drop_postgres
from cryptocdc_core.plan import Plan
from cryptocdc_core.platform import PlatformFacts
from cryptocdc_core.settings import ServerSettings

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

    The three servers are handled in parallel, then the connector: its slot is created after the publication, so that no
    change is missed. `meanwhile` is called while the connector starts: its snapshot includes rows that are written
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
        connector = pool.submit(_apply_connector, plan, servers)
        if meanwhile is not None:
            meanwhile()
        connector.result()
    return Applied(added, removed)


def _apply_topics(plan: Plan, servers: Servers) -> tuple[list[str], list[str]]:
    kafka.apply_topics(servers.kafka, plan.topics, servers.facts.topic_replication)
    return write_symbols(servers.kafka, plan.names.symbols_topic, plan.symbols)


def _apply_connector(plan: Plan, servers: Servers) -> None:
    """Applying a feed allows a new snapshot, which a lost slot needs to recover the changes it lost."""
    connect, name = Connect(servers.connect.url), plan.names.connector
    slot = slots.read(servers.postgres, plan.names.slot)
    if slots.lost(slot, connect.position(name)) is not None:
        new_snapshot(plan, servers, connect)
    connect.apply(name, plan.connector)
    state = connect.state(name)
    if state is not None and state.state == "STOPPED":  # by a run that gave up on its slot
        connect.resume(name)
    connect.wait_running(name)


def new_snapshot(plan: Plan, servers: Servers, connect: Connect) -> None:
    """Remove the connector's slot and position, so that it reads all rows in PostgreSQL again. Idempotent."""
    name = plan.names.connector
    connect.stop(name)
    connect.wait_stopped(name)
    slots.drop(servers.postgres, servers.replication, plan.names.slot)
    connect.reset_offsets(name)
    connect.resume(name)


def delete(plan: Plan, servers: Servers, report: Report, *, everything: bool) -> None:
    """Undo a plan: always remove connectors and slot, so that no WAL accumulates; the data only with `everything`."""
    connect = Connect(servers.connect.url)
    report("connector")
    connect.remove(plan.names.sink_connector)
    connect.delete(plan.names.connector)
    report("replication slot")
    slots.drop(servers.postgres, servers.replication, plan.names.slot)
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
