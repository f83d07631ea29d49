"""The ports in memory: what Kubernetes' API, the platform's servers, the exchange and the verifier would return
in a `World`. Every call is a step after which the operator may be killed.
"""

from __future__ import annotations

import copy
import functools
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from kubernetes.client import ApiException

from cryptocdc_adapters.replication.connect import ConnectorState, Position
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.planning.resolve import implausible, resolve, unresolved
from cryptocdc_core.storage.shards import of_connectors, of_slots
from cryptocdc_operator.cluster.secret_data import SecretData
from cryptocdc_operator.resources.source import source_of
from cryptocdc_operator.servers.port import POSTGRES, ExchangeSilent, Observed, Refused, ServerError

if TYPE_CHECKING:
    from tests.unit.operator.world import World

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
"""What the exchange lists."""
FACTS = PlatformFacts(
    "cryptocdc-postgres-rw", 5432, "cryptocdc", "debezium", "${secrets:cdc/cryptocdc-replication:password}", "require"
)


class Misuse(BaseException):
    """What a real server would always refuse: a bug in the operator, which no pass may blame on the server."""


def step(method):
    """A call of a port: the operator may be killed after its effect, before the next call's."""

    @functools.wraps(method)
    def called(self, *args, **more):
        self.world.called.add((type(self), method.__name__))
        result = method(self, *args, **more)
        self.world.passed()
        return copy.deepcopy(result)

    return called


def refusal(message: str) -> ApiException:
    """What the API server's client raises for an invalid object."""
    error = ApiException(status=422, reason="Unprocessable Entity")
    error.body = json.dumps({"kind": "Status", "message": message})
    return error


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
        content = self.world.secrets.get(name)
        return None if content is None else SecretData(name, {key: b64encode(v).decode() for key, v in content.items()})

    @step
    def missing_kinds(self, kinds):
        return [kind for kind in kinds if kind in self.world.kinds_missing]

    @step
    def apply(self, wanted):
        key = wanted["kind"], wanted["metadata"]["name"]
        before = self.world.objects.get(key)
        made = copy.deepcopy(wanted)
        if made["metadata"]["name"] in self.world.not_accepted:
            raise refusal(f'{key[0]} "{key[1]}" is invalid: {self.world.not_accepted[key[1]]}')
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
        if kind == "KafkaTopic" and (kind, name) in self.world.objects:
            # The topic operator's finalizer holds it until the topic is gone.
            self.world.objects[kind, name]["metadata"].setdefault("deletionTimestamp", "now")
        elif kind == "PersistentVolumeClaim" and (kind, name) in self.world.objects:
            # Protected while a pod uses it.
            self.world.objects[kind, name]["metadata"].setdefault("deletionTimestamp", "now")
        else:
            self.world.objects.pop((kind, name), None)

    @step
    def pods(self, selector):
        wanted = dict(pair.split("=") for pair in selector.split(","))
        return [
            found
            for (kind, _), found in sorted(self.world.objects.items())
            if kind == "Pod" and wanted.items() <= found["metadata"]["labels"].items()
        ]

    @step
    def all(self, kind):
        return [{"kind": kind, **found} for (what, _), found in sorted(self.world.objects.items()) if what == kind]

    @step
    def namespace_ends(self):
        return self.world.namespace_ends

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
    def history(self, names):
        self._answers(POSTGRES)
        return self.world.history

    @step
    def observe(self, plan):
        shards = self._shards(plan.names)
        sink = self.world.connectors.get(plan.names.sink_connector)
        wanted = {f"{plan.names.schema}.{stream.table}" for stream in plan.carried}
        if not {shard.publication for shard in plan.connectors} <= self.world.publications:
            missing = wanted
        else:
            missing = wanted - self.world.tables if plan.names.keyspace in self.world.keyspaces else wanted
        return Observed(
            unreachable=self.world.unreachable,
            missing_tables=tuple(sorted(missing)),
            shards={
                shard: ShardState(
                    self.world.slots.get(shard.slot), self._state(shard.connector), self._position(shard.connector)
                )
                for shard in shards
            },
            configs={
                shard: self.world.connectors[shard.connector]["config"]
                for shard in shards
                if shard.connector in self.world.connectors
            },
            sink_state=self._state(plan.names.sink_connector),
            sink_config=sink["config"] if sink else None,
            plugins=frozenset(() if "Connect" in self.world.unreachable else self.world.plugins),
            lag=7,
            topics={} if "Kafka" in self.world.unreachable else dict(self.world.kafka),
        )

    def _shards(self, names):
        connectors = of_connectors(names, self.world.connectors)
        return sorted({*of_slots(names, self.world.slots).values(), *connectors.values()})

    def _position(self, name):
        if name not in self.world.connectors or name not in self.world.positions:
            return None
        return Position(self.world.positions[name], name in self.world.given)

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
        self.world.publications |= {shard.publication for shard in plan.connectors}
        self.world.tables |= {f"{plan.names.schema}.{stream.table}" for stream in plan.carried}
        self.world.keyspaces.add(plan.names.keyspace)
        self.world.schema_runs += 1

    @step
    def write_symbols(self, names, symbols):
        self._answers("Kafka")
        if names.symbols_topic not in self.world.kafka:
            raise ServerError("Kafka", f"unknown topic {names.symbols_topic}")
        before = self.world.symbols.get(names.fid, {})
        self.world.symbols[names.fid] = dict(symbols)
        return sorted(set(symbols) - set(before)), sorted(set(before) - set(symbols))

    @step
    def connector_state(self, name):
        self._answers("Connect")
        return self._state(name)

    @step
    def restart_connector(self, name):
        self._answers("Connect")
        self.world.restarts += 1
        there = self.world.connectors[name]
        if there["state"] in ("FAILED", "RESTARTING"):
            there |= {"state": "STOPPED" if there["stopped"] else "RUNNING", "tasks": (), "trace": ""}
        elif there["config"].get("slot.name") in (None, *self.world.slots):
            there |= {"tasks": ("RUNNING",), "trace": ""}

    @step
    def reset_connector(self, name):
        there = self.world.connectors[name]
        if there["tasks"]:
            raise Misuse("Connect forgets the position only of a connector that was stopped")
        if not there["stopped"]:
            raise Refused(
                "Connect", "400: Connectors must be in the STOPPED state before their offsets can be modified"
            )
        if name in self.world.keeps_positions:
            raise Refused("Connect", "500: the offsets can't be altered")
        self.world.positions.pop(name, None)

    @step
    def stop_connector(self, name):
        self._answers("Connect")
        self.world.connectors[name]["stopping"] = True

    @step
    def start_connector(self, name):
        self._answers("Connect")
        self.world.connectors[name] |= {"stopping": False, "stopped": False}

    @step
    def delete_connector(self, name):
        self._answers("Connect")
        self.world.connectors.pop(name, None)
        self.world.positions.pop(name, None)

    @step
    def remove_connector(self, name):
        self._answers("Connect")
        self.world.connectors.pop(name, None)

    @step
    def shards(self, names):
        self._answers(POSTGRES)
        self._answers("Connect")
        return self._shards(names)

    @step
    def create_slot(self, shard):
        self._answers(POSTGRES)
        if shard.publication not in self.world.publications:
            raise Misuse("a slot can't be read from before its publication")
        newest = max((slot.confirmed for slot in self.world.slots.values()), default=100)
        return self.world.slots.setdefault(shard.slot, Slot(shard.slot, newest + 50, False, "reserved", 0)).confirmed

    @step
    def place_connector(self, shard, config, lsn):
        self._answers("Connect")
        made = {"state": "STOPPED", "tasks": (), "trace": "", "stopping": False, "stopped": True, "config": config}
        if self.world.connectors.setdefault(shard.connector, made)["tasks"]:
            raise Misuse("Connect changes the position only of a connector that was stopped")
        self.world.positions[shard.connector] = lsn
        self.world.given.add(shard.connector)

    @step
    def drop_slot(self, shard):
        self._answers(POSTGRES)
        there = self.world.connectors.get(shard.connector)
        if there is not None and there["tasks"] == ("RUNNING",):
            raise Misuse("PostgreSQL drops no slot that is in use")
        self.world.slots.pop(shard.slot, None)

    @step
    def drop_publications(self, names, kept):
        self._answers(POSTGRES)
        left = {shard.publication for shard in kept}
        self.world.publications = {
            name for name in self.world.publications if name in left or not name.startswith(names.publication)
        }

    @step
    def drop_data(self, names):
        self.world.tables -= {table for table in self.world.tables if table.startswith(f"{names.schema}.")}
        self.world.publications = {name for name in self.world.publications if not name.startswith(names.publication)}
        self.world.keyspaces.discard(names.keyspace)


class External:
    """The exchange and the verifier."""

    def __init__(self, world: World) -> None:
        self.world = world

    @step
    def resolve(self, feed, current, absent):
        self.world.asked += 1
        if self.world.exchange_silent:
            raise ExchangeSilent("no answer")
        source = source_of(feed, self.world.settings)
        suspect = implausible(self.world.markets, SYMBOLS)
        if suspect is not None:
            kept = unresolved(feed, source, suspect, current)
            if kept is None:
                raise ExchangeSilent(suspect)
            return kept
        return resolve(feed, source, self.world.markets, self.world.volumes, current, absent)

    @step
    def proof(self, names):
        return self.world.proof

    @step
    def obstacle(self, host, port):
        return self.world.obstacles.get(host)


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
