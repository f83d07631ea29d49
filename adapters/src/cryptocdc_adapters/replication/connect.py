"""Kafka Connect's REST API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from cryptocdc_adapters.http_client import Session
from cryptocdc_core.program.backoff import retry

TIMEOUT_S = 30
START_S = 60.0
_WRAPPED = (
    "Exiting WorkerSinkTask due to unrecoverable exception",  # whatever a sink task raises
    "Unrecoverable exception from producer send callback",  # what Kafka does not accept of a source task
)


class ConnectError(RuntimeError):
    """An error response of Connect, with its message."""


class _Rebalancing(ConnectError):
    """Connect refuses a request during a rebalance."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """`state` is that of the connector, which is RUNNING even if its task has failed: see `tasks`."""

    state: str
    tasks: tuple[str, ...]
    trace: str
    """First lines of the failed task's trace, "" if none failed. It begins with the cause where Connect has wrapped
    it."""

    @property
    def running(self) -> bool:
        return bool(self.tasks) and all(task == "RUNNING" for task in self.tasks)

    @property
    def failed(self) -> bool:
        return self.state == "FAILED" or "FAILED" in self.tasks

    @property
    def restarting(self) -> bool:
        """Whether the connector or its task is being restarted. Connect reports this forever if the restart could not
        read the configuration, for example because of an unreadable secret."""
        return "RESTARTING" in (self.state, *self.tasks)

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs. A connector that can't be started may report FAILED or RESTARTING even after it
        was stopped."""
        return self.state in ("STOPPED", "FAILED", "RESTARTING") and not self.tasks


@dataclass(frozen=True, slots=True)
class Position:
    """`lsn` as a number of bytes, 0 where Debezium says none."""

    lsn: int
    given: bool
    """Whether it is the one given by `Connect.place`: the connector has read nothing since."""
    snapshot: bool = False
    """Whether a snapshot was being taken, during which the connector does not read its slot."""


class Connect:
    """One Connect cluster. Each call raises ConnectError, or requests.RequestException if it can't be reached."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = Session()

    def apply(self, name: str, config: dict[str, str]) -> bool:
        """Create the connector or update its `config`; return whether that changed anything."""
        if self.config(name) == config:
            return False
        self._call("PUT", f"/connectors/{name}/config", json=config)
        return True

    def names(self) -> list[str]:
        """Return the names of all connectors."""
        return list(self._call("GET", "/connectors").json())

    def plugins(self) -> frozenset[str]:
        """Return the classes of the workers' plugins: connectors, converters and others."""
        listed = self._call("GET", "/connector-plugins", params={"connectorsOnly": "false"})
        return frozenset(plugin["class"] for plugin in listed.json())

    def state(self, name: str) -> ConnectorState | None:
        """Return the connector's state, None if there is no such connector."""
        answer = self._call("GET", f"/connectors/{name}/status", accept=(404,))
        if answer.status_code == 404:
            return None
        status = answer.json()
        parts = [*status["tasks"], status["connector"]]
        trace = next((part["trace"] for part in parts if part.get("trace")), "")
        return ConnectorState(
            state=status["connector"]["state"],
            tasks=tuple(task["state"] for task in status["tasks"]),
            trace=_first_lines(trace),
        )

    def restart(self, name: str) -> None:
        """Restart the connector and all of its tasks, since one whose restart failed may not report FAILED."""
        self._call("POST", f"/connectors/{name}/restart", params={"includeTasks": "true"})

    def stop(self, name: str) -> None:
        """Stop the connector's tasks; configuration and offsets are kept."""
        self._call("PUT", f"/connectors/{name}/stop", accept=(404,))

    def resume(self, name: str) -> None:
        self._call("PUT", f"/connectors/{name}/resume")

    def config(self, name: str) -> dict[str, str] | None:
        """Return the configuration in Connect, with unresolved references; None if there is no such connector."""
        answer = self._call("GET", f"/connectors/{name}/config", accept=(404,))
        return None if answer.status_code == 404 else {k: v for k, v in answer.json().items() if k != "name"}

    def position(self, name: str) -> Position | None:
        """The position in PostgreSQL's log that Debezium has committed; None when it has committed nothing. It confirms
        a position to the slot only after that (its `lsn.flush.mode` is `connector`).
        """
        stored = self._offsets(name)
        if not stored:
            return None
        return Position(
            max(int(offset.get(key) or 0) for offset in stored for key in ("lsn", "lsn_proc", "lsn_commit")),
            given=all(set(offset) == {"lsn"} for offset in stored),
            snapshot=any(offset.get("snapshot") for offset in stored),
        )

    def _offsets(self, name: str) -> list[dict[str, Any]]:
        answer = self._call("GET", f"/connectors/{name}/offsets", accept=(404,))
        return [] if answer.status_code == 404 else [entry["offset"] or {} for entry in answer.json()["offsets"]]

    def position_if_readable(self, name: str, state: ConnectorState) -> Position | None:
        """As `position`, None also where the connector does not run and Connect can't read its offsets: for that it
        resolves the configuration again, which fails with status 500 while a secret can't be read.
        """
        try:
            return self.position(name)
        except ConnectError:
            if state.running:
                raise
            return None

    def place(self, name: str, config: dict[str, str], lsn: int) -> None:
        """Create the connector, stopped, if there is none, and let its first start read from `lsn` on, without a
        snapshot. An existing one must be stopped."""
        if self.state(name) is None:
            body = {"name": name, "config": config, "initial_state": "STOPPED"}
            self._call("POST", "/connectors", json=body)
            self._wait(name, START_S, lambda state: state is not None and state.ended, "stop")
        entry = {"partition": {"server": config["topic.prefix"]}, "offset": {"lsn": lsn}}
        self._call("PATCH", f"/connectors/{name}/offsets", json={"offsets": [entry]})

    def reset_offsets(self, name: str) -> None:
        """Reset the position, so that the next start takes a new snapshot. The connector must be stopped."""
        self._call("DELETE", f"/connectors/{name}/offsets", accept=(404,))

    def delete(self, name: str) -> None:
        """Stop the connector, reset its position and delete it, so that a later one of the same name starts fresh."""
        if self.state(name) is None:
            return
        self.stop(name)
        self.wait_stopped(name)
        self.reset_offsets(name)
        self._call("DELETE", f"/connectors/{name}", accept=(404,))

    def remove(self, name: str) -> None:
        """Stop the connector and delete it. A sink connector's position, which is its group's offsets, stays."""
        if self.state(name) is None:
            return
        self.stop(name)
        self.wait_stopped(name)
        self._call("DELETE", f"/connectors/{name}", accept=(404,))

    def wait_stopped(self, name: str, timeout_s: float = 30) -> None:
        """Wait until nothing of it runs: it has stopped or failed, or is gone."""
        self._wait(name, timeout_s, lambda state: state is None or state.ended, "stop")

    def wait_running(self, name: str, timeout_s: float = START_S) -> None:
        """Wait until every task runs. Failed tasks are restarted now and then, and reported if time runs out."""
        self._wait(name, timeout_s, lambda state: state is not None and state.running, "run")

    def _wait(self, name: str, timeout_s: float, done: Callable[[ConnectorState | None], bool], word: str) -> None:
        deadline = time.monotonic() + timeout_s
        restart_at = time.monotonic() + 5
        while True:
            state = self.state(name)
            if done(state):
                return
            now = time.monotonic()
            if state is not None and state.failed and word == "run" and now > restart_at:
                self.restart(name)
                restart_at = now + 5
            if now > deadline:
                raise ConnectError(f"connector {name} does not {word} after {timeout_s:.0f} s: {state}")
            time.sleep(0.2)

    def _call(self, method: str, path: str, accept: tuple[int, ...] = (), **more: object) -> requests.Response:
        """Return the response, unless it is an error that is not in `accept`. Retried while
        Connect rebalances."""

        def once() -> requests.Response:
            answer = self._http.request(method, self._url + path, timeout=TIMEOUT_S, **more)  # type: ignore[arg-type]
            if answer.ok or answer.status_code in accept:
                return answer
            kind = _Rebalancing if _rebalances(answer) else ConnectError
            raise kind(f"{method} {path}: {answer.status_code}: {answer.text[:500]}")

        return retry(once, _Rebalancing, TIMEOUT_S, 0.3)


def _rebalances(answer: requests.Response) -> bool:
    """Whether a request is refused only until a rebalance is over. Connect refuses changes with status 409, but reading
    a configuration with 500."""
    return answer.status_code == 409 or (answer.status_code == 500 and "a rebalance is expected" in answer.text)


def _first_lines(trace: str) -> str:
    """Return the first lines of a trace, without the exception in which Connect has wrapped another."""
    lines = trace.splitlines()
    if lines and any(wrapped in lines[0] for wrapped in _WRAPPED):
        causes = (at for at, line in enumerate(lines) if line.startswith("Caused by: "))
        lines = lines[next(causes, 0) :]
    return "\n".join(lines[:3]).removeprefix("Caused by: ")
