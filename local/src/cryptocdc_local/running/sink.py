"""The sink engines other than the consumers during a run: the sink connector (`sink.engine: connect`), which is
applied, watched and removed; what a Spark job needs of this machine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests

from cryptocdc_adapters.replication.connect import Connect, ConnectError, ConnectorState
from cryptocdc_control.connector import Action, Recovery, decide
from cryptocdc_core.planning.plan import Plan
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.installation.java import find_java
from cryptocdc_local.platform.installation.spark import SparkParts


@dataclass
class SinkConnector:
    """Call `apply` whenever the plan has changed, `step` every few seconds. Thread-safe.

    Like consumers it writes only during a run. Its offsets are the group's, so removing it loses nothing.
    """

    plan: Plan
    servers: Servers
    _recovery: Recovery = field(default_factory=Recovery)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def apply(self) -> None:
        """Create the connector with the plan's configuration, or remove it if the plan has none.

        Raises ConnectError, requests.RequestException.
        """
        with self._lock:
            if self.plan.sink_connector is None:
                self.remove()
            else:
                name = self.plan.names.sink_connector
                self._connect.apply(name, self.plan.sink_connector)
                self._resume_stopped(self._connect.state(name))

    def remove(self) -> None:
        """Remove the connector once its tasks have stopped. Raises as `apply`."""
        with self._lock:
            self._connect.remove(self.plan.names.sink_connector)

    def step(self) -> str:
        """Return a line about what is wrong or was done, "" while all is well."""
        with self._lock:
            if self.plan.sink_connector is None:
                return ""
            try:
                return self._watched()
            except (ConnectError, requests.RequestException) as error:
                return f"sink connector can't be checked: {one_line(error)}"

    def _watched(self) -> str:
        name = self.plan.names.sink_connector
        state = self._connect.state(name)
        if state is None:
            self.apply()
            return "sink connector was missing: created again"
        if self._resume_stopped(state):
            return "sink connector was stopped: resumed"
        decision = decide(state, None, self._recovery, None, datetime.now(UTC))
        self._recovery = decision.recovery
        if decision.action is Action.RESTART:
            self._connect.restart(name)
            cause = state.trace.splitlines()[0][:200] if state.trace else "no trace"
            return f"sink connector failed, restart {self._recovery.restarts}: {cause}"
        return (
            ""
            if state.running
            else f"sink connector is {state.state}, its tasks {', '.join(state.tasks) or 'not started'}"
        )

    def _resume_stopped(self, state: ConnectorState | None) -> bool:
        """Resume a connector that a run stopped and then did not delete: a new configuration does not start it.

        Return whether it was stopped. Raises as `apply`.
        """
        stopped = state is not None and state.state == "STOPPED"
        if stopped:
            self._connect.resume(self.plan.names.sink_connector)
        return stopped

    @property
    def _connect(self) -> Connect:
        return Connect(self.servers.connect.url)


def checkpoint(platform: Platform, fid: str) -> Path:
    """Return the folder of a feed's Spark checkpoint."""
    return platform.settings.data / "spark" / fid


def spark_environment(platform: Platform, fid: str) -> dict[str, str]:
    """Return the settings of a feed's Spark job; installs Spark if it is missing. Raises PlatformError."""
    return {
        **session_environment(platform.setup_spark()),
        "CRYPTOCDC_CHECKPOINT": str(checkpoint(platform, fid)),
    }


def session_environment(parts: SparkParts) -> dict[str, str]:
    """Return the settings of every Spark job on this machine."""
    java = find_java()
    return {
        "PYTHONPATH": str(parts.packages),
        "CRYPTOCDC_SPARK_JARS": str(parts.jars),
        **({"JAVA_HOME": str(java.resolve().parent.parent)} if java is not None else {}),
    }


def one_line(error: Exception) -> str:
    """Return the error's message as one line of at most 160 characters."""
    return " ".join(str(error).split())[:160]
