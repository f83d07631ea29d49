"""Kafka Connect's REST API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import requests

from cryptocdc_adapters.http_client import Session
from cryptocdc_core.backoff import retry

TIMEOUT_S = 30


class ConnectError(RuntimeError):
    """An answer of Connect that is no success, in its own words."""


class _Rebalancing(ConnectError):
    """Connect refuses because its workers are dividing the work."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """`state` is the connector's own, which says RUNNING even when its task has failed: read `tasks`."""

    state: str
    tasks: tuple[str, ...]
    trace: str
    """First lines of the failed task's trace, "" when none failed."""

    @property
    def running(self) -> bool:
        return bool(self.tasks) and all(task == "RUNNING" for task in self.tasks)

    @property
    def failed(self) -> bool:
        return self.state == "FAILED" or "FAILED" in self.tasks

    @property
    def restarting(self) -> bool:
        """Whether the connector or its task is being restarted. Connect reports this forever where the restart could
        not read the configuration, as while a secret can't be read."""
        return "RESTARTING" in (self.state, *self.tasks)

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs. A connector that can't be started may report FAILED or RESTARTING even when it
        was stopped since."""
        return self.state in ("STOPPED", "FAILED", "RESTARTING") and not self.tasks


class Connect:
    """One Connect cluster. Each call raises ConnectError, or requests.RequestException when it can't be reached."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = Session()

    def apply(self, name: str, config: dict[str, str]) -> bool:
        """Make the connector or give it `config`; True when that changed anything."""
        if self.config(name) == config:
            return False
        self._call("PUT", f"/connectors/{name}/config", json=config)
        return True

    def state(self, name: str) -> ConnectorState | None:
        """None when there is no such connector."""
        answer = self._call("GET", f"/connectors/{name}/status", accept=(404,))
        if answer.status_code == 404:
            return None
        status = answer.json()
        parts = [*status["tasks"], status["connector"]]
        trace = next((part["trace"] for part in parts if part.get("trace")), "")
        return ConnectorState(
            state=status["connector"]["state"],
            tasks=tuple(task["state"] for task in status["tasks"]),
            trace="\n".join(trace.splitlines()[:3]),
        )

    def restart(self, name: str) -> None:
        """Restart the connector and its tasks; all of them, since a part whose restart failed may not report FAILED."""
        self._call("POST", f"/connectors/{name}/restart", params={"includeTasks": "true"})

    def stop(self, name: str) -> None:
        """Stop its tasks and keep its configuration and offsets."""
        self._call("PUT", f"/connectors/{name}/stop", accept=(404,))

    def resume(self, name: str) -> None:
        self._call("PUT", f"/connectors/{name}/resume")

    def config(self, name: str) -> dict[str, str] | None:
        """As Connect has it, references to secrets unresolved; None when there is no such connector."""
        answer = self._call("GET", f"/connectors/{name}/config", accept=(404,))
        return None if answer.status_code == 404 else {k: v for k, v in answer.json().items() if k != "name"}

    def position(self, name: str) -> int | None:
        """The position in PostgreSQL's log, in bytes, that Debezium has committed; 0 where it says none, None when it
        has committed nothing. It confirms a position to the slot only after that (its `lsn.flush.mode` is `connector`).
        """
        answer = self._call("GET", f"/connectors/{name}/offsets", accept=(404,))
        if answer.status_code == 404 or not (offsets := answer.json()["offsets"]):
            return None
        stored = [entry["offset"] or {} for entry in offsets]
        return max(int(offset.get(key) or 0) for offset in stored for key in ("lsn", "lsn_proc", "lsn_commit"))

    def position_if_readable(self, name: str, state: ConnectorState) -> int | None:
        """As `position`, None also where the connector does not run and Connect can't read its offsets: for that it
        resolves the configuration again, which fails with status 500 while a secret can't be read.
        """
        try:
            return self.position(name)
        except ConnectError:
            if state.running:
                raise
            return None

    def reset_offsets(self, name: str) -> None:
        """Forget the position, so that the next start takes a new snapshot. The connector must be stopped."""
        self._call("DELETE", f"/connectors/{name}/offsets", accept=(404,))

    def delete(self, name: str) -> None:
        """Stop it, forget its position, delete it: a later one of the same name begins anew."""
        if self.state(name) is None:
            return
        self.stop(name)
        self.wait_stopped(name)
        self.reset_offsets(name)
        self._call("DELETE", f"/connectors/{name}", accept=(404,))

    def wait_stopped(self, name: str, timeout_s: float = 30) -> None:
        """Until nothing of it runs: it has stopped, failed, or is gone."""
        self._wait(name, timeout_s, lambda state: state is None or state.ended, "stop")

    def wait_running(self, name: str, timeout_s: float = 60) -> None:
        """Until every task runs. A task that failed meanwhile is restarted once in a while, and told of at the end."""
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
        """Return the response, unless it is an error that is not in `accept`. A Connect that is rebalancing is asked
        again."""

        def once() -> requests.Response:
            answer = self._http.request(method, self._url + path, timeout=TIMEOUT_S, **more)  # type: ignore[arg-type]
            if answer.ok or answer.status_code in accept:
                return answer
            kind = _Rebalancing if answer.status_code == 409 else ConnectError
            raise kind(f"{method} {path}: {answer.status_code}: {answer.text[:500]}")

        return retry(once, _Rebalancing, TIMEOUT_S, 0.3)
