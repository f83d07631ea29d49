"""A feed of the simulator, and what one can see of it from outside."""

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
PROOF_LIMIT_S = 300
"""A minute must end, its grace pass, and the verifier come round to it."""


@dataclass(frozen=True)
class Feed:
    cluster: Cluster
    name: str

    @property
    def fid(self) -> str:
        """The identity of a simulated feed."""
        return f"{self.name.replace('-', '_')}_sim"

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
                    "scaling": {"partitions": 6, "producers": 1, "consumers": 1, **(scaling or {})},
                    **spec,
                },
            }
        )

    def status(self) -> Object:
        found = self.cluster.get("cryptofeed", self.name)
        status: Object = (found or {}).get("status", {})
        return status

    def condition(self, kind: str) -> Object:
        """Empty before the operator has said anything of it, and while what it said is of an older generation."""
        feed = self.cluster.get("cryptofeed", self.name) or {"metadata": {"generation": -1}}
        for condition in feed.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition["observedGeneration"] == feed["metadata"]["generation"]:
                found: Object = condition
                return found
        return {}

    def wait_ready(self, limit_s: float = 180) -> None:
        def ready() -> bool:
            said.update(self.condition("Ready"))
            return said.get("status") == "True"

        said: Object = {}
        wait_for(f"{self.name} is ready ({said})", ready, limit_s)

    def wait_proven(self) -> int:
        """Until all that was captured before this call is proven equal; the rows of the proof."""
        since = datetime.now(UTC)

        def proven() -> bool:
            through = self.status().get("provenThrough")
            return through is not None and datetime.fromisoformat(through) >= since - timedelta(seconds=1)

        wait_for(f"{self.name} is proven through {since}: {self.condition('Proven')}", proven, PROOF_LIMIT_S)
        assert self.condition("Proven")["status"] == "True", self.condition("Proven")
        rows: int = self.status()["rows"]
        return rows

    def verify(self) -> Object:
        """Every row compared once, by the documented Job; its report. AssertionError with its log when it failed."""
        job = ["exec", "deploy/cryptocdc-operator", "--", "python", "-m", "cryptocdc_operator.job", self.name]
        made = self.cluster.kubectl(*job, "verify", "--json")
        name = self.cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.name}", given=made)

        def ended() -> Object:
            status = (self.cluster.get("job", name) or {})["status"]
            return status if status.get("succeeded") or status.get("failed") else {}

        ending = wait_for(f"job {name} has ended", ended, 300)
        log = self.cluster.kubectl("logs", f"job/{name}")
        assert ending.get("succeeded"), log
        report: Object = json.loads(log.splitlines()[-1])
        return report

    def selector(self, component: str) -> str:
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"

    def ready(self, component: str) -> list[str]:
        return self.cluster.ready(self.selector(component))

    def starts(self, component: str) -> dict[str, int]:
        """Pods' unique ids and how often their programs were started again."""
        return {
            pod["metadata"]["uid"]: sum(it["restartCount"] for it in pod["status"].get("containerStatuses", []))
            for pod in self.cluster.pods(self.selector(component))
        }

    def metric(self, component: str, name: str, labels: str = "") -> float:
        """The sum of a metric over the program's pods and over all series with `labels` in them."""
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

    def wait_flowing(self, limit_s: float = 180) -> None:
        """Until rows are captured, and until others are written to Cassandra by the consumers of now."""
        for component in ("producer", "consumer"):
            counter = f"cryptocdc_{component}_rows_total"
            wait_for(f"{component}s are ready", lambda it=component: self.ready(it), limit_s)  # type: ignore[misc]
            seen: list[float] = []

            def grows(component: str = component, counter: str = counter, seen: list[float] = seen) -> bool:
                now = self.metric(component, counter)
                if not seen or now < seen[0]:  # a new pod counts from nothing
                    seen[:] = [now]
                return now > seen[0] + 20

            wait_for(f"{component}s of {self.name} write rows", grows, limit_s)

    def slots(self) -> str:
        """Replication slots of this feed, as PostgreSQL lists them."""
        query = f"SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE slot_name = '{self.fid}_slot'"
        return sql(self.cluster, query)

    def delete(self, limit_s: float = 120) -> None:
        self.cluster.kubectl("delete", "cryptofeed", self.name, "--ignore-not-found", f"--timeout={limit_s:.0f}s")


def sql(cluster: Cluster, query: str) -> str:
    """PostgreSQL's answer to its superuser, in the instance's own pod."""
    psql = ["psql", "--username=postgres", "--dbname=cryptocdc", "--tuples-only", "--no-align", "--command", query]
    return cluster.kubectl("exec", "cryptocdc-postgres-1", "--container=postgres", "--", *psql).strip()
