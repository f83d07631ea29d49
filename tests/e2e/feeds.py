"""A feed of the simulator, and its state as seen from outside."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.cluster import Cluster, CommandError, Object, wait_for

STREAMS: Object = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "klines": {"source": "websocket", "intervals": ["1m"]},
    "crypto24hStats": {"source": "websocket"},
    "latestPrices": {"source": "websocket"},
    "orderBook": {"source": "websocket", "depth": 20, "interval": "1s"},
}
READY_LIMIT_S = 300
"""Programs and servers start in seconds; on two busy cores, in minutes."""
COMPONENTS = ("producer", "consumer", "spark", "api", "alerter", "analyzer", "exporter")
PROOF_LIMIT_S = 420
"""A minute and its grace period must end, then the verifier's next pass."""


@dataclass(frozen=True)
class Feed:
    cluster: Cluster
    name: str

    @property
    def fid(self) -> str:
        """The identity of a simulated feed."""
        return f"{self.name.replace('-', '_')}_sim"

    @property
    def connector(self) -> str:
        """The name of its KafkaConnector."""
        return self.fid.replace("_", "-")

    def apply(self, symbols: list[str], scaling: Object | None = None, **spec: Any) -> None:
        self.cluster.apply(
            {
                "apiVersion": "cryptocdc.io/v1alpha1",
                "kind": "CryptoFeed",
                "metadata": {"name": self.name},
                "spec": {
                    "exchange": "simulated",
                    "symbols": {"names": symbols},
                    "streams": STREAMS,
                    "history": {"klines": "0s"},
                    "scaling": {"partitions": 6, "producers": 1, "consumers": 1, **(scaling or {})},
                    **spec,
                },
            }
        )

    def change(self, spec: Object) -> None:
        """Merge into the feed's spec, as by `kubectl edit`."""
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "cryptofeed", self.name, "--type=merge", "--patch", patch)

    def status(self) -> Object:
        found = self.cluster.get("cryptofeed", self.name)
        status: Object = (found or {}).get("status", {})
        return status

    def condition(self, kind: str) -> Object:
        """Return the status; empty while the operator has written none for the current generation."""
        feed = self.cluster.get("cryptofeed", self.name) or {"metadata": {"generation": -1}}
        for condition in feed.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition["observedGeneration"] == feed["metadata"]["generation"]:
                found: Object = condition
                return found
        return {}

    def wait_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until the current generation is applied and works."""
        self.wait_condition("Ready", "True", limit_s=limit_s)

    def wait_condition(self, kind: str, status: str, reason: str = "", limit_s: float = READY_LIMIT_S) -> Object:
        """Wait until the operator reports this for the current generation; return the condition."""
        said: Object = {}

        def says() -> Object:
            said.clear()
            said.update(self.condition(kind))
            return said if said.get("status") == status and reason in ("", said["reason"]) else {}

        try:
            return wait_for(f"{kind} of {self.name} is {status} {reason}", says, limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it reports {said}") from None

    def wait_proven(self) -> int:
        """Wait until everything captured before this call is proven equal; return the number of proven rows."""
        since = datetime.now(UTC)

        def proven() -> bool:
            through = self.status().get("provenThrough")
            return through is not None and datetime.fromisoformat(through) >= since - timedelta(seconds=1)

        try:
            wait_for(f"{self.name} is proven through {since:%H:%M:%S}", proven, PROOF_LIMIT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.status().get('provenThrough')}, {self.condition('Proven')}") from None
        assert self.condition("Proven")["status"] == "True", self.condition("Proven")
        rows: int = self.status()["rows"]
        return rows

    def verify(self) -> Object:
        """Compare every row with the documented Job, which must find them equal; return its report."""
        log = self.job("verify", "--json")
        report: Object = json.loads(log.splitlines()[-1])
        assert report["equal"], report
        assert report["rows"] > 0
        assert report["missing"] == report["extra"] == report["different"] == 0, report
        return report

    def job(self, *task: str) -> str:
        """Run a documented Job, which must succeed; return its log."""
        printed = ["exec", "deploy/cryptocdc-operator", "--", "python", "-m", "cryptocdc_operator.job", self.name]
        made = self.cluster.kubectl(*printed, *task)
        name = self.cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.name}", given=made)

        def ended() -> Object:
            status = (self.cluster.get("job", name) or {})["status"]
            return status if status.get("succeeded") or status.get("failed") else {}

        ending = wait_for(f"job {name} has ended", ended, PROOF_LIMIT_S)
        log = self.cluster.kubectl("logs", f"job/{name}")
        assert ending.get("succeeded"), log
        return log

    def selector(self, component: str) -> str:
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"

    def ready(self, component: str) -> list[str]:
        return self.cluster.ready(self.selector(component))

    def starts(self, component: str) -> dict[str, int]:
        """Return the pods' unique ids with their programs' restart counts."""
        return self.cluster.starts(self.selector(component))

    def metric(self, component: str, name: str, labels: str = "") -> float:
        """Return the sum of a metric over the program's pods and all series that contain `labels`."""
        total = 0.0
        for pod in self.ready(component):
            try:
                url = f"/api/v1/namespaces/{self.cluster.namespace}/pods/{pod}:9090/proxy/metrics"
                text = self.cluster.kubectl("get", "--raw", url)
            except CommandError:  # it may end at any time
                continue
            series = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
            total += sum(float(value) for have, value in series if labels in have)
        return total

    def revisions(self) -> dict[str, str]:
        """Return the numbers that increase when a part of the feed restarts: the revision of each pod template, and the
        generation of the connector's resource."""
        found = {}
        for component in COMPONENTS:
            made = self.cluster.get("deployment", f"{self.name}-{component}")
            if made is not None:
                found[component] = made["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        connector = self.cluster.get("kafkaconnector", self.connector)
        if connector is not None:
            found["connector"] = str(connector["metadata"]["generation"])
        return found

    def wait_flowing(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until rows are captured, and the current consumers write rows to Cassandra."""
        for component in ("producer", "consumer"):
            counter = f"cryptocdc_{component}_rows_total"
            wait_for(f"{component}s are ready", lambda it=component: self.ready(it), limit_s)  # type: ignore[misc]
            seen: list[float] = []

            def grows(component: str = component, counter: str = counter, seen: list[float] = seen) -> bool:
                now = self.metric(component, counter)
                if not seen or now < seen[0]:  # a new pod counts from zero
                    seen[:] = [now]
                return now > seen[0] + 20

            wait_for(f"{component}s of {self.name} write rows", grows, limit_s)

    def slots(self) -> str:
        """Return this feed's replication slots as PostgreSQL lists them: name|active|wal_status."""
        query = f"SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE slot_name = '{self.fid}_slot'"
        return sql(self.cluster, query)

    def drop_slot(self, suffix: str = "") -> None:
        """Drop a slot while its connector reads it, as somebody might by mistake."""
        slot = f"{self.fid}_slot{suffix}"
        mine = f"slot_name = '{slot}'"
        sql(
            self.cluster,
            f"""DO $$ BEGIN LOOP
                PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE {mine} AND active;
                BEGIN
                    PERFORM pg_drop_replication_slot('{slot}');
                    EXIT;
                EXCEPTION WHEN object_in_use THEN
                    PERFORM pg_sleep(0.05);
                END;
            END LOOP; END $$""",
        )

    def cql(self, query: str) -> list[list[Any]]:
        """Run CQL in a consumer's pod with the consumer's login; return the rows."""
        program = (
            "import json, sys\n"
            "from cryptocdc_adapters.cassandra.sessions import connect\n"
            "from cryptocdc_core.program.settings import CassandraSettings\n"
            f"cluster, session = connect(CassandraSettings.from_env(), {self.fid!r})\n"
            "print(json.dumps([list(row) for row in session.execute(sys.argv[1])], default=str))\n"
            "cluster.shutdown()"
        )
        asked = ["exec", f"deploy/{self.name}-consumer", "--", "python3", "-c", program, query]
        rows: list[list[Any]] = json.loads(self.cluster.kubectl(*asked))
        return rows

    def delete(self, limit_s: float = 240) -> None:
        self.cluster.kubectl("delete", "cryptofeed", self.name, "--ignore-not-found", f"--timeout={limit_s:.0f}s")


def sql(cluster: Cluster, query: str) -> str:
    """Run SQL as the superuser in the instance's pod; return the output."""
    psql = ["psql", "--username=postgres", "--dbname=cryptocdc", "--tuples-only", "--no-align", "--command", query]
    return cluster.kubectl("exec", "cryptocdc-postgres-1", "--container=postgres", "--", *psql).strip()
