"""The edges in memory: what Kubernetes' API, the platform's servers, the exchange and the verifier would answer
in a `World`. Every call is a step after which the operator may be killed.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_core.platform import PlatformFacts
from cryptocdc_core.resolve import resolve
from cryptocdc_operator.edges import POSTGRES, ExchangeSilent, Refused, Seen, ServerError

if TYPE_CHECKING:
    from tests.unit.operator.world import World

FACTS = PlatformFacts(
    "cryptocdc-postgres-rw", 5432, "cryptocdc", "debezium", "${secrets:cdc/cryptocdc-replication:password}", "require"
)


def step(method):
    """A call of an edge: the operator may die after its effect, which is before that of the next."""

    @functools.wraps(method)
    def called(self, *args, **more):
        result = method(self, *args, **more)
        self.world.passed()
        return copy.deepcopy(result)

    return called


class Api:
    """Kubernetes' API."""

    def __init__(self, world: World) -> None:
        self.world = world

    @step
    def feed(self, name):
        return self.world.objects.get(("CryptoFeed", name))

    @step
    def set_status(self, name, patch):
        _merge(self.world.objects["CryptoFeed", name].setdefault("status", {}), copy.deepcopy(patch))

    @step
    def secret(self, name):
        return self.world.secrets.get(name)

    @step
    def missing_kinds(self, kinds):
        return [kind for kind in kinds if kind in self.world.kinds_missing]

    @step
    def apply(self, wanted):
        key = wanted["kind"], wanted["metadata"]["name"]
        before = self.world.objects.get(key)
        made = copy.deepcopy(wanted)
        generation = before["metadata"]["generation"] if before else 0
        if (
            before is None
            or before["spec" if "spec" in before else "data"] != made["spec" if "spec" in made else "data"]
        ):
            generation += 1
        made["metadata"]["generation"] = generation
        if before and "status" in before:
            made["status"] = before["status"]
        self.world.objects[key] = made
        return made

    @step
    def find(self, kind, name):
        return self.world.objects.get((kind, name))

    @step
    def of_feed(self, kind, feed):
        return [
            found
            for (what, _), found in sorted(self.world.objects.items())
            if what == kind and found["metadata"].get("labels", {}).get("cryptocdc.io/feed") == feed
        ]

    @step
    def change(self, kind, name, patch):
        if (kind, name) in self.world.objects:
            found = self.world.objects[kind, name]
            before = copy.deepcopy(found.get("spec"))
            _merge(found, copy.deepcopy(patch))
            found["metadata"]["generation"] += found.get("spec") != before

    @step
    def delete(self, kind, name):
        self.world.objects.pop((kind, name), None)

    @step
    def pods(self, feed, component):
        return [
            found
            for (kind, _), found in sorted(self.world.objects.items())
            if kind == "Pod"
            and found["metadata"]["labels"]["cryptocdc.io/feed"] == feed
            and found["metadata"]["labels"]["app.kubernetes.io/component"] == component
        ]

    @step
    def share_feed(self, name, text):
        if text is None:
            self.world.shared.pop(name, None)
        else:
            self.world.shared[name] = text


class Platform:
    """PostgreSQL, Kafka, Connect and Cassandra."""

    facts = FACTS

    def __init__(self, world: World) -> None:
        self.world = world

    def _answers(self, server):
        if server in self.world.unreachable:
            raise ServerError(server, self.world.unreachable[server])

    @step
    def tables(self, names):
        self._answers(POSTGRES)
        within = f"{names.schema}."
        return sorted(table.removeprefix(within) for table in self.world.tables if table.startswith(within))

    @step
    def look(self, plan):
        there = self.world.connectors.get(plan.names.connector)
        wanted = {f"{plan.names.schema}.{stream.table}" for stream in plan.carried}
        missing = wanted - self.world.tables if plan.names.keyspace in self.world.keyspaces else wanted
        return Seen(
            unreachable=self.world.unreachable,
            missing_tables=tuple(sorted(missing)),
            slot=self.world.slots.get(plan.names.slot),
            state=self._state(plan.names.connector),
            config=there["config"] if there else None,
            position=self.world.positions.get(plan.names.connector) if there else None,
            lag=7,
        )

    def _state(self, name):
        there = self.world.connectors.get(name)
        return ConnectorState(there["state"], there["tasks"], there["trace"]) if there else None

    @step
    def apply_tables(self, plan):
        self._answers(POSTGRES)
        trades = plan.feed.spec.streams.recent_trades
        held = self.world.held_kind.get(plan.names.fid)
        if trades is not None and held not in (None, trades.kind):
            raise Refused(
                POSTGRES, f"spec.streams.recentTrades.kind: {trades.kind!r} is not accepted; accepted: {held!r}"
            )
        self.world.tables |= {f"{plan.names.schema}.{stream.table}" for stream in plan.carried}
        self.world.keyspaces.add(plan.names.keyspace)
        self.world.schema_runs += 1

    @step
    def write_symbols(self, names, symbols):
        self._answers("Kafka")
        before = self.world.symbols.get(names.fid, {})
        self.world.symbols[names.fid] = dict(symbols)
        return sorted(set(symbols) - set(before)), sorted(set(before) - set(symbols))

    @step
    def connector_state(self, name):
        self._answers("Connect")
        return self._state(name)

    @step
    def restart_connector(self, name):
        self.world.restarts += 1
        if f"{name}_slot" in self.world.slots:
            self.world.connectors[name] |= {"tasks": ("RUNNING",), "trace": ""}

    @step
    def reset_connector(self, name):
        assert self.world.connectors[name]["state"] == "STOPPED", "Connect forgets only what is stopped"
        self.world.positions.pop(name, None)

    @step
    def drop_slot(self, names):
        self._answers(POSTGRES)
        there = self.world.connectors.get(names.connector)
        assert there is None or not there["tasks"], "PostgreSQL drops no slot that is in use"
        self.world.slots.pop(names.slot, None)

    @step
    def drop_data(self, names):
        self.world.tables -= {table for table in self.world.tables if table.startswith(f"{names.schema}.")}
        self.world.keyspaces.discard(names.keyspace)


class Elsewhere:
    """The exchange and the verifier."""

    def __init__(self, world: World) -> None:
        self.world = world

    @step
    def resolve(self, feed, current):
        self.world.asked += 1
        if self.world.exchange_silent:
            raise ExchangeSilent("no answer")
        return resolve(feed, "exchange", self.world.markets, self.world.volumes, current)

    @step
    def proof(self, names):
        return self.world.proof


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
