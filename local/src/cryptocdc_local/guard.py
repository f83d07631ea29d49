"""Watches a feed's connector while a run goes on: a failed task is restarted, a lost slot healed, at most twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psycopg2
import requests

from cryptocdc_adapters import slots
from cryptocdc_adapters.connect import Connect, ConnectError
from cryptocdc_core.plan import Plan
from cryptocdc_local.applier import Servers, heal_lost_slot

_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 2.0, 60.0
MOST_SNAPSHOTS = 2


@dataclass
class ConnectorGuard:
    """Call `step` every few seconds; it says in a line what is wrong or what it did, "" when all is well."""

    plan: Plan
    servers: Servers
    snapshots: int = 0
    _backoff_s: float = _FIRST_BACKOFF_S
    _next_restart: float = field(default=0.0)

    def step(self) -> str:
        connect, name = Connect(self.servers.connect.url), self.plan.names.connector
        try:
            state = connect.state(name)
            if state is None:
                connect.apply(name, self.plan.connector)
                return "connector was gone: made again"
            slot = slots.read(self.servers.postgres, self.plan.names.slot)
            if slots.lost(slot, connect.position(name)) is not None:
                return self._heal(connect)
            if slot is not None and state.running:
                self._backoff_s = _FIRST_BACKOFF_S
                return ""
            if state.failed and time.monotonic() >= self._next_restart:
                self._next_restart = time.monotonic() + self._backoff_s
                self._backoff_s = min(self._backoff_s * 2, _LONGEST_BACKOFF_S)
                connect.restart(name)
                return f"connector task failed, restarted: {state.trace.splitlines()[0][:200] if state.trace else ''}"
            return f"connector is {state.state}, its task {', '.join(state.tasks) or 'not started'}"
        except (ConnectError, requests.RequestException, psycopg2.Error) as error:
            return f"connector can't be watched: {' '.join(str(error).split())[:160]}"

    def _heal(self, connect: Connect) -> str:
        if self.snapshots >= MOST_SNAPSHOTS:
            return (
                f"replication slot {self.plan.names.slot} was lost again after {MOST_SNAPSHOTS} new snapshots: halted"
            )
        self.snapshots += 1
        heal_lost_slot(self.plan, self.servers, connect)
        return f"replication slot {self.plan.names.slot} was lost: a new snapshot carries every row PostgreSQL has"
