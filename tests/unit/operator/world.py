"""A cluster and a platform in memory: the state behind the operator's ports, and what Strimzi, Connect and Kubernetes'
own controllers would do meanwhile.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.core.feeds import document
from tests.unit.operator.doubles import SYMBOLS, Api, External, Platform

from cryptocdc_adapters.postgres.history_files import Counts
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.planning.connector import CONVERTER
from cryptocdc_core.planning.resolve import Market
from cryptocdc_core.program.metrics import OperatorMetrics
from cryptocdc_operator.context import Operator
from cryptocdc_operator.reconcile.feed import reconcile
from cryptocdc_operator.reconcile.teardown import tear_down
from cryptocdc_operator.servers.platform import Secrets, connect
from cryptocdc_operator.settings import Addresses, OperatorSettings
from cryptocdc_operator.status.assess import Proof

SETTINGS = OperatorSettings(
    namespace="cdc", producer_image="cryptocdc/producer:1", consumer_image="cryptocdc/consumer:1",
    alerter_image="cryptocdc/alerter:1", analyzer_image="cryptocdc/analyzer:1", exporter_image="cryptocdc/exporter:1",
    spark_image="cryptocdc/spark:1", api_image="cryptocdc/api:1", pod_monitors=True,
    history_image="cryptocdc/history:1",
)  # fmt: skip
ADDRESSES = Addresses(
    CRYPTOCDC_POSTGRES_HOST="cryptocdc-postgres-rw",
    CRYPTOCDC_POSTGRES_PORT="5432",
    CRYPTOCDC_POSTGRES_SSLMODE="verify-full",
    CRYPTOCDC_KAFKA_BOOTSTRAP="cryptocdc-kafka-bootstrap:9093",
    CRYPTOCDC_KAFKA_MECHANISM="SCRAM-SHA-512",
    CRYPTOCDC_CASSANDRA_HOSTS="cryptocdc-dc1-service",
    CRYPTOCDC_CASSANDRA_PORT="9042",
    CRYPTOCDC_CASSANDRA_DATACENTER="dc1",
)


class Killed(BaseException):
    """The operator's process was killed in the middle of its work."""


class World:
    def __init__(self, **spec: Any) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.settings = SETTINGS
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.secrets = {
            # A key that is not text, as Strimzi's and cert-manager's secrets have them beside those that are used.
            name: {"username": name.encode(), "password": b"p", "ca.crt": b"c", "ca.p12": b"0\x82\x04\xe3\xff"}
            for name in SETTINGS.secrets
        }
        self.kinds_missing: list[str] = []
        self.shared: dict[str, str] = {}
        self.events: list[tuple[str, str, str]] = []
        self.tables: set[str] = set()
        self.keyspaces: set[str] = set()
        self.held_kind: dict[str, str] = {}
        self.schema_runs = 0
        self.symbols: dict[str, dict[str, int]] = {}
        self.slots: dict[str, Slot] = {}
        self.positions: dict[str, int] = {}
        self.given: set[str] = set()
        """Connectors that have read nothing since their position was given."""
        self.publications: set[str] = set()
        self.connectors: dict[str, dict[str, Any]] = {}
        self.keeps_positions: set[str] = set()
        """Connectors whose position Connect does not forget."""
        self.plugins = {"io.cryptocdc.connect.cassandra.CassandraSinkConnector", CONVERTER}
        """The classes of the plugins in Connect's image."""
        self.kafka: dict[str, int] = {}
        """By topic that exists, its replicas."""
        self.brokers = 3
        self.bad_topics: dict[str, str] = {}
        """By topic, what Kafka says against its configuration."""
        self.not_accepted: dict[str, str] = {}
        """By name of an object, what the API server says against it."""
        self.snapshots = 0
        self.restarts = 0
        self.unread = False
        """Whether connectors run without reading their slots."""
        self.unreachable: dict[str, str] = {}
        self.markets = {symbol: Market(symbol, "USDT") for symbol in SYMBOLS}
        self.volumes = {symbol: float(len(SYMBOLS) - at) for at, symbol in enumerate(SYMBOLS)}
        self.exchange_silent = False
        self.asked = 0
        self.proof: Proof | str | None = Proof(0, 10, self.at)
        self.obstacles: dict[str, str] = {}
        """By a pod's address, why it says that it can't do its work."""
        self.history = Counts()
        """How far the past is loaded, as PostgreSQL says."""
        self.namespace_ends = False
        self.steps = 0
        self.called: set[tuple[type, str]] = set()
        """Every kind of step that was made."""
        self.kill_at: int | None = None
        self.metrics = OperatorMetrics("test")
        self.make_feed("majors", **spec)

    def copied(self) -> World:
        """A copy of the world that can develop differently from here."""
        made = copy.copy(self)
        made.__dict__ = copy.deepcopy({key: value for key, value in vars(self).items() if key != "metrics"})
        made.metrics = self.metrics
        return made

    def passed(self) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            raise Killed

    # What a user does.

    def make_feed(self, name: str, **spec: Any) -> None:
        made = document(**spec)
        made["metadata"] = {"name": name, "uid": f"uid-{name}", "generation": 1, "annotations": {}}
        self.objects["CryptoFeed", name] = made

    def feed(self, name: str = "majors") -> dict[str, Any]:
        return self.objects["CryptoFeed", name]

    def edit(self, name: str = "majors", **spec: Any) -> None:
        self.feed(name)["spec"] |= spec
        self.feed(name)["metadata"]["generation"] += 1

    # What the operator does.

    @property
    def operator(self) -> Operator:
        return Operator(
            self.settings,
            ADDRESSES,
            Api(self),
            self._connected,
            External(self),
            self.metrics,
            lambda: self.at,
        )

    def _connected(self, secrets: Secrets) -> Platform:
        connect(self.settings, ADDRESSES, secrets)  # reads of the secrets what the servers' clients need
        return Platform(self)

    def reconcile(self, name: str = "majors", **more: Any) -> Any:
        return reconcile(self.operator, name, self.post_event, **more)

    def post_event(self, kind: str, reason: str, message: str) -> None:
        self.events.append((kind, reason, message))

    def run(self, name: str = "majors", passes: int = 12) -> None:
        """Run passes, and what others do meanwhile, until the operator requests no more."""
        for _ in range(passes):
            outcome = self.reconcile(name)
            self.others()
            if outcome.retry_after_s is None:
                return

    def delete(self, name: str = "majors", passes: int = 12) -> bool:
        """Return whether the finalizer was removed; if so, Kubernetes removes what the feed owns."""
        self.feed(name)["metadata"]["deletionTimestamp"] = "now"
        for _ in range(passes):
            outcome = tear_down(self.operator, name, self.post_event)
            self.others()
            if outcome.retry_after_s is None:
                self.remove(name)
                return True
        return False

    def remove(self, name: str) -> None:
        """Remove the feed and everything it owns."""
        del self.objects["CryptoFeed", name]
        for key, found in list(self.objects.items()):
            if any(owner["name"] == name for owner in found["metadata"].get("ownerReferences", [])):
                del self.objects[key]
        self.others()

    # What others do.

    def others(self) -> None:
        """Strimzi, Connect with Debezium, Kubernetes' controllers; three seconds pass."""
        self.at += timedelta(seconds=3)
        self.connect()
        for (kind, name), found in list(self.objects.items()):
            generation = found["metadata"].get("generation", 1)
            if kind == "KafkaTopic":
                self._topic(name, found)
            if kind == "Deployment":
                count = found["spec"]["replicas"]
                counted = dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas"), count)
                found["status"] = {"observedGeneration": generation, **counted}
                self._pods(name, found["spec"]["template"], count)
            if kind == "SparkApplication":
                found["status"] = {"currentState": {"currentStateSummary": "RunningHealthy"}}
                self._pods(name, found["spec"]["driverSpec"]["podTemplateSpec"], 1)
            if kind == "KafkaConnector":
                found["status"] = {
                    "observedGeneration": generation,
                    "conditions": [self._connector(name, found["spec"])],
                }
        for name in set(self.connectors) - {name for kind, name in self.objects if kind == "KafkaConnector"}:
            del self.connectors[name]
        # An executor is removed after its driver, and a volume after the pods that use it.
        self._executors()
        names = {name for kind, name in self.objects if kind in ("Deployment", "SparkApplication")}
        for key in [key for key in self.objects if key[0] == "Pod"]:
            if "owner" in self.objects[key] and self.objects[key]["owner"] not in names:
                del self.objects[key]
        for key, found in list(self.objects.items()):
            used = any(kind == "Pod" and "spark" in name for kind, name in self.objects)
            if key[0] == "PersistentVolumeClaim" and "deletionTimestamp" in found["metadata"] and not used:
                del self.objects[key]

    def _executors(self) -> None:
        """Spark's drivers, each of which creates its executors."""
        for key in [key for key, found in self.objects.items() if found.get("executor")]:
            if ("Pod", self.objects[key]["executor"]) not in self.objects:
                del self.objects[key]
        for (kind, name), driver in list(self.objects.items()):
            if kind == "Pod" and driver["metadata"]["labels"].get("app.kubernetes.io/component") == "spark":
                template, count = self._executors_wanted(driver["metadata"]["labels"]["cryptocdc.io/feed"])
                for key in [key for key, found in self.objects.items() if found.get("executor") == name]:
                    del self.objects[key]  # its driver started again
                for at in range(count):
                    self.objects["Pod", f"{name}-exec-{at}"] = {
                        "metadata": {"name": f"{name}-exec-{at}", **template["metadata"]},
                        "status": {"phase": "Running"},
                        "executor": name,
                    }

    def _executors_wanted(self, feed: str) -> tuple[dict[str, Any], int]:
        application = self.objects.get(("SparkApplication", f"{feed}-spark"))
        if application is not None:
            spec = application["spec"]
            return spec["executorSpec"]["podTemplateSpec"], int(spec["sparkConf"]["spark.executor.instances"])
        files = self.objects["ConfigMap", f"{feed}-feed"]["data"]
        properties = dict(line.split(" ", 1) for line in files.get("spark-defaults.conf", "").splitlines())
        return json.loads(files.get("executor.json", "{}")), int(properties.get("spark.executor.instances", 0))

    def _topic(self, name: str, found: dict[str, Any]) -> None:
        """The topic operator, which says what it refuses as Ready with status False."""
        spec, topic = found["spec"], found["spec"]["topicName"]
        if "deletionTimestamp" in found["metadata"]:
            self.kafka.pop(topic, None)
            del self.objects["KafkaTopic", name]
            return
        refused = self._refused(topic, spec["replicas"])
        if refused is None:
            self.kafka.setdefault(topic, spec["replicas"])
            said = {"type": "Ready", "status": "True"}
        else:
            said = {"type": "Ready", "status": "False", "reason": refused[0], "message": refused[1]}
        found["status"] = {"observedGeneration": found["metadata"]["generation"], "conditions": [said]}

    def _refused(self, topic: str, replicas: int) -> tuple[str, str] | None:
        if topic in self.bad_topics:
            return "KafkaError", self.bad_topics[topic]
        if self.kafka.get(topic, replicas) != replicas:
            return "NotSupported", "Replication factor change not supported, but required for partitions [0]"
        if replicas > self.brokers:
            return "KafkaError", f"InvalidReplicationFactorException: only {self.brokers} broker(s) are registered"
        return None

    def _pods(self, name: str, template: dict[str, Any], count: int) -> None:
        for key in [key for key in self.objects if key[0] == "Pod" and self.objects[key].get("owner") == name]:
            del self.objects[key]
        for at in range(count):
            labels = template["metadata"]["labels"]
            self.objects["Pod", f"{name}-{at}"] = {
                "metadata": {"name": f"{name}-{at}", "labels": labels},
                "status": {"podIP": f"{name}-{at}", "conditions": [{"type": "Ready", "status": "True"}]},
                "owner": name,
            }

    def _connector(self, name: str, spec: dict[str, Any]) -> dict[str, str]:
        """Strimzi, which leaves a connector that has itself failed as it is (strimzi-kafka-operator 12542), and Connect
        with Debezium. Returns the KafkaConnector's condition."""
        there = self.connectors.setdefault(
            name, {"state": "", "tasks": (), "trace": "", "stopping": False, "stopped": False}
        )
        if there["state"] in ("FAILED", "RESTARTING"):
            return {"type": "NotReady", "status": "True", "reason": "Throwable", "message": "The connector has failed"}
        there["config"] = {**spec["config"], "connector.class": spec["class"], "tasks.max": str(spec["tasksMax"])}
        ready = {"type": "Ready", "status": "True"}
        if spec["state"] == "stopped":
            there["stopping"] = True
            self.connect()
            return ready
        there["stopped"] = False
        if there["tasks"] == ("FAILED",):
            return ready  # for two minutes
        if "slot.name" not in there["config"]:  # a sink
            there |= {"state": "RUNNING", "tasks": ("RUNNING",) * spec["tasksMax"], "trace": ""}
            return ready
        slot = there["config"]["slot.name"]
        if there["config"]["publication.name"] not in self.publications:
            there |= {"state": "RUNNING", "tasks": ("FAILED",), "trace": "publication does not exist"}
            return ready
        if name not in self.positions:
            self.snapshots += 1
            self.slots[slot] = Slot(slot, 100, True, "reserved", 0)
            self.positions[name] = 100
        elif slot not in self.slots:
            there |= {"state": "RUNNING", "tasks": ("FAILED",), "trace": "no longer available on the server"}
            return ready
        there |= {"state": "RUNNING", "tasks": ("RUNNING",), "trace": ""}
        self._read(name, slot)
        return ready

    def _read(self, name: str, slot: str) -> None:
        """Let the connector read what the newest slot begins with."""
        newest = max(found.confirmed for found in self.slots.values())
        if self.slots[slot].confirmed <= self.positions[name] < newest:
            self.positions[name] = newest
            self.slots[slot] = replace(self.slots[slot], confirmed=newest)
        self.slots[slot] = replace(self.slots[slot], active=not self.unread)
        self.given.discard(name)

    def connect(self) -> None:
        """Connect stops connectors on request. One that could not be started keeps reporting FAILED."""
        for there in self.connectors.values():
            if there["stopping"]:
                state = there["state"] if there["state"] in ("FAILED", "RESTARTING") else "STOPPED"
                there |= {"state": state, "tasks": (), "stopping": False, "stopped": True}

    def server_pod(self, server: str, ready: str = "True", **status: Any) -> None:
        """A pod of Kafka or Connect, labelled as Strimzi labels it."""
        kind = {"Connect": "connect", "Kafka": "kafka"}[server]
        self.objects["Pod", f"cryptocdc-{kind}-0"] = {
            "metadata": {
                "name": f"cryptocdc-{kind}-0",
                "labels": {"strimzi.io/cluster": "cryptocdc", "strimzi.io/name": f"cryptocdc-{kind}"},
            },
            "status": {"conditions": [{"type": "Ready", "status": ready}], **status},
        }

    # What goes wrong.

    def lose_slot(self, name: str = "majors") -> None:
        del self.slots[f"{name}_slot"]

    def fail_task(self, name: str = "majors") -> None:
        self.connectors[name] |= {"tasks": ("FAILED",), "trace": "connection refused\nat …"}

    def fail_connector(self, name: str = "majors") -> None:
        """The connector fails, not its task: Connect could not read the secret named in its configuration."""
        self.connectors[name] |= {"state": "FAILED", "tasks": (), "trace": "Could not read secret\nat …"}

    def hang_restart(self, name: str = "majors") -> None:
        """A failed connector was restarted, but its secret could still not be read."""
        self.connectors[name] |= {"state": "RESTARTING", "tasks": (), "trace": ""}

    # What tests examine.

    def condition(self, kind: str, name: str = "majors") -> dict[str, Any]:
        return next(c for c in self.feed(name)["status"]["conditions"] if c["type"] == kind)

    def said(self, kind: str, name: str = "majors") -> tuple[str, str]:
        found = self.condition(kind, name)
        return found["status"], found["reason"]

    def names(self, kind: str) -> list[str]:
        return sorted(name for found, name in self.objects if found == kind)

    def state(self) -> str:
        """Everything that must be the same in the end, whichever way led there."""
        objects = copy.deepcopy({f"{kind}/{name}": found for (kind, name), found in self.objects.items()})
        for found in objects.values():
            for condition in found.get("status", {}).get("conditions", []):
                condition.pop("lastTransitionTime", None)
            found.get("status", {}).pop("resolvedAt", None)
            found.get("status", {}).get("recovery", {}).pop("snapshotAt", None)
            found["metadata"].pop("generation", None)
            found.get("status", {}).pop("observedGeneration", None)
        return json.dumps(
            {
                "objects": objects,
                "tables": sorted(self.tables),
                "keyspaces": sorted(self.keyspaces),
                "symbols": self.symbols,
                "slots": sorted(self.slots),
                "positions": sorted(self.positions),
                "publications": sorted(self.publications),
                "connectors": self.connectors,
                "shared": self.shared,
                "snapshots": self.snapshots,
            },
            sort_keys=True,
            indent=1,
        )
