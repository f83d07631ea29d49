"""Watches a feed's connector during a run and carries out what `cryptocdc_control.connector` decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg2
import requests

from cryptocdc_adapters import slots
from cryptocdc_adapters.connect import Connect, ConnectError, ConnectorState
from cryptocdc_control.connector import MOST_SNAPSHOTS, Action, Recovery, decide
from cryptocdc_core.plan import Plan
from cryptocdc_local.applier import Servers, new_snapshot


@dataclass
class ConnectorGuard:
    """Call `step` every few seconds; it returns a line about what is wrong or was done, "" while the connector runs.

    The history of attempts lasts for one run: starting the next one allows new snapshots again.
    """

    plan: Plan
    servers: Servers
    _recovery: Recovery = field(default_factory=Recovery)

    def step(self) -> str:
        connect, name = Connect(self.servers.connect.url), self.plan.names.connector
        try:
            state = connect.state(name)
            if state is None:
                connect.apply(name, self.plan.connector)
                return "connector was missing: created again"
            slot = slots.read(self.servers.postgres, self.plan.names.slot)
            lost = slots.lost(slot, connect.position_if_readable(name, state))
            decision = decide(state, lost, self._recovery, None, datetime.now(UTC))
            self._recovery = decision.recovery
            return self._act(decision.action, connect, state, lost, has_slot=slot is not None)
        except (ConnectError, requests.RequestException, psycopg2.Error) as error:
            return f"connector can't be checked: {' '.join(str(error).split())[:160]}"

    def _act(self, action: Action, connect: Connect, state: ConnectorState, lost: str | None, *, has_slot: bool) -> str:
        names = self.plan.names
        match action:
            case Action.SNAPSHOT:
                new_snapshot(self.plan, self.servers, connect)
                self._recovery = self._recovery.model_copy(update={"snapshotting": False})
                return (
                    f"connector: slot {names.slot} was lost ({lost}); taking a new snapshot of all rows in PostgreSQL"
                )
            case Action.HALT:
                connect.stop(names.connector)
                return (
                    f"connector halted: slot {names.slot} was lost again ({lost}) after {MOST_SNAPSHOTS} new snapshots;"
                    " fix the cause, then start the run again, which takes a new snapshot"
                )
            case Action.RESTART:
                connect.restart(names.connector)
                cause = state.trace.splitlines()[0][:200] if state.trace else "no trace"
                return f"connector failed, restart {self._recovery.restarts}: {cause}"
        if has_slot and state.running:
            return ""
        return f"connector is {state.state}, its task {', '.join(state.tasks) or 'not started'}"
