"""One namespace of one cluster, by kubectl and helm as a user would."""

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
"""By which the platform's pods are selected."""


class CommandError(RuntimeError):
    """A command that failed, and its own words."""


def run(argv: Sequence[str], *, given: str | None = None, limit_s: float = COMMAND_LIMIT_S) -> str:
    """The command's standard output. It reads nothing but what is `given`. Raises CommandError."""
    try:
        done = subprocess.run(argv, input=given or "", capture_output=True, text=True, timeout=limit_s, check=False)
    except FileNotFoundError:
        raise CommandError(f"{argv[0]}: there is no such program") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(argv)}: no end after {limit_s:.0f} s") from None
    if done.returncode != 0:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def shown(argv: Sequence[str], limit_s: float) -> None:
    """A command that takes minutes: what it says is passed on as it goes. Raises CommandError."""
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True, timeout=limit_s)
    except subprocess.SubprocessError as error:
        raise CommandError(str(error)) from None


def wait_for(what: str, probe: Callable[[], T], limit_s: float) -> T:
    """The first truthy answer of `probe`. AssertionError with its last answer when none came within the limit. A
    command that fails is no answer: the API server of a small node that is busy is away at times."""
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
        """Those with all of the labels of `selector`, by name."""
        items: list[Object] = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def http(self, service: str, port: int, path: str, method: str = "GET") -> str:
        """What a service answers, through the API server."""
        url = f"/api/v1/namespaces/{self.namespace}/services/http:{service}:{port}/proxy{path}"
        verb = {"GET": ["get"], "POST": ["create", "-f", "-"]}[method]
        return self.kubectl(*verb, "--raw", url, given="" if method == "POST" else None)

    def workers(self) -> list[str]:
        """Nodes on which programs run: all but kind's first, where it has others."""
        nodes = {node["metadata"]["name"]: node["spec"].get("taints", []) for node in self.find("nodes")}
        return [name for name, taints in nodes.items() if CONTROL_PLANE not in {taint["key"] for taint in taints}]

    def pods(self, selector: str) -> list[Object]:
        """Those that are not being ended."""
        return [pod for pod in self.find("pods", selector) if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, selector: str) -> list[str]:
        """Names of the pods that are ready."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(selector)
            if any(it["type"] == "Ready" and it["status"] == "True" for it in pod["status"].get("conditions", []))
        ]

    def kill(self, selector: str) -> str:
        """Delete one pod as a crash would, without a word to its program; its unique id."""
        pod = self.pods(selector)[0]
        self.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
        uid: str = pod["metadata"]["uid"]
        return uid

    def replace(self, selector: str, limit_s: float = 300) -> None:
        """Kill one pod, and wait until another of its name or kind is ready."""
        killed = self.kill(selector)

        def replaced() -> bool:
            uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.pods(selector)}
            return any(uids.get(name) not in (None, killed) for name in self.ready(selector))

        wait_for(f"another pod of {selector} is ready", replaced, limit_s)

    def starts(self, selector: str) -> dict[str, int]:
        """Pods' unique ids and how often their programs were started again."""
        return {
            pod["metadata"]["uid"]: sum(it["restartCount"] for it in pod["status"].get("containerStatuses", []))
            for pod in self.pods(selector)
        }
