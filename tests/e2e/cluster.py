"""A namespace of a cluster, accessed with kubectl and helm as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Object = dict[str, Any]

COMMAND_LIMIT_S = 600
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
CONNECT = "strimzi.io/kind=KafkaConnect,strimzi.io/cluster=cryptocdc"
BROKER = "strimzi.io/kind=Kafka,strimzi.io/broker-role=true"
POSTGRES = "cnpg.io/cluster=cryptocdc-postgres,cnpg.io/podRole=instance"
CASSANDRA = "cassandra.datastax.com/cluster=cryptocdc"
"""Label selectors of the platform's pods."""


class CommandError(RuntimeError):
    """A failed command, with its error output."""


def run(argv: Sequence[str], *, given: str | None = None, limit_s: float = COMMAND_LIMIT_S) -> str:
    """Return the command's standard output; `given` is its standard input. Raises CommandError."""
    try:
        done = subprocess.run(argv, input=given or "", capture_output=True, text=True, timeout=limit_s, check=False)
    except FileNotFoundError:
        raise CommandError(f"{argv[0]}: program not found") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(argv)}: no end after {limit_s:.0f} s") from None
    if done.returncode != 0:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def shown(argv: Sequence[str], limit_s: float) -> None:
    """Run a command that takes minutes, passing its output on. Raises CommandError."""
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True, timeout=limit_s)
    except subprocess.SubprocessError as error:
        raise CommandError(str(error)) from None


def wait_for(what: str, probe: Callable[[], T], limit_s: float) -> T:
    """Return the first truthy result of `probe`; raises AssertionError with the last result after the limit. A failed
    command counts as no result, since the API server of a small busy node is sometimes unavailable."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            answer: T | CommandError = probe()
        except CommandError as error:
            answer = error
        if answer and not isinstance(answer, CommandError):
            return answer
        assert time.monotonic() < deadline, f"after {limit_s:.0f} s still not: {what} (last: {answer!r})"
        time.sleep(1)


@dataclass(frozen=True)
class Cluster:
    context: str
    namespace: str

    def kubectl(self, *arguments: str, given: str | None = None, limit_s: float = COMMAND_LIMIT_S) -> str:
        where = ["--context", self.context, "--namespace", self.namespace]
        return run(["kubectl", *where, *arguments], given=given, limit_s=limit_s)

    def helm(self, *arguments: str) -> str:
        return run(["helm", "--kube-context", self.context, "--namespace", self.namespace, *arguments])

    def apply(self, document: Object) -> None:
        self.kubectl("apply", "-f", "-", given=json.dumps(document))

    def get(self, kind: str, name: str) -> Object | None:
        text = self.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
        found: Object | None = json.loads(text) if text else None
        return found

    def find(self, kind: str, selector: str = "") -> list[Object]:
        """Return the objects with all labels of `selector`, by name."""
        items: list[Object] = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def http(self, service: str, port: int, path: str, method: str = "GET") -> str:
        """Return a service's response, requested through the API server."""
        url = f"/api/v1/namespaces/{self.namespace}/services/http:{service}:{port}/proxy{path}"
        verb = {"GET": ["get"], "POST": ["create", "-f", "-"]}[method]
        return self.kubectl(*verb, "--raw", url, given="" if method == "POST" else None)

    def workers(self) -> list[str]:
        """Return the nodes on which programs run: all but kind's first, if there are others."""
        nodes = {node["metadata"]["name"]: node["spec"].get("taints", []) for node in self.find("nodes")}
        return [name for name, taints in nodes.items() if CONTROL_PLANE not in {taint["key"] for taint in taints}]

    def pods(self, selector: str) -> list[Object]:
        """Return the pods that are not terminating."""
        return [pod for pod in self.find("pods", selector) if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, selector: str) -> list[str]:
        """Return the names of the ready pods."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(selector)
            if any(it["type"] == "Ready" and it["status"] == "True" for it in pod["status"].get("conditions", []))
        ]

    def kill(self, selector: str) -> str:
        """Delete a pod without a grace period, as in a crash; return its unique id."""
        pod = self.pods(selector)[0]
        self.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
        uid: str = pod["metadata"]["uid"]
        return uid

    def replace(self, selector: str, limit_s: float = 300) -> None:
        """Kill a pod, and wait until its replacement is ready."""
        self.wait_replaced(selector, self.kill(selector), limit_s)

    def wait_replaced(self, selector: str, killed: str, limit_s: float = 300) -> None:
        """Wait until another pod than the one with the unique id `killed` is ready."""

        def replaced() -> bool:
            uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.pods(selector)}
            return any(uids.get(name) not in (None, killed) for name in self.ready(selector))

        wait_for(f"another pod of {selector} is ready", replaced, limit_s)

    def starts(self, selector: str) -> dict[str, int]:
        """Return the pods' unique ids with their programs' restart counts."""
        return {
            pod["metadata"]["uid"]: sum(it["restartCount"] for it in pod["status"].get("containerStatuses", []))
            for pod in self.pods(selector)
        }
