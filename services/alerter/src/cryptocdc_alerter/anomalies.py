"""Evaluates alerts on anomalies, in the order of their partition. Pure: no clock, no I/O.

An alert fires with an anomaly, and resolves with a later window of the same kind and length that is not an anomaly. Its
state is the last record of it, so a restart continues with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from cryptocdc_alerter.evaluation import Known, Position, Transition, evaluated_before
from cryptocdc_alerter.window import Point
from cryptocdc_core.catalogue.computed import ANOMALIES
from cryptocdc_core.feed.alerts import Alert
from cryptocdc_core.rows.changes import Decoder, Undecodable

OLD_MS = 600_000
"""An anomaly that was found so long after its window ended causes no alert: the past is being computed."""


class Compared(NamedTuple):
    """A window that was compared with its past."""

    symbol: str
    kind: str
    interval: str
    open_ms: int
    close_ms: int
    anomaly: bool
    value: Decimal
    reason: str | None


class Anomalies:
    """Decodes changes of the table anomalies."""

    def __init__(self) -> None:
        self._decoder = Decoder(ANOMALIES)

    def read(self, value: bytes | None) -> Compared | None:
        """Return the window in a record's value; None for a delete. Raises Undecodable."""
        change: Any = self._decoder.decode(value)
        if change.op == "d":
            return None
        try:
            found = Decimal(change.value or 0)
        except InvalidOperation:
            raise Undecodable(f"value {change.value!r} is not a decimal") from None
        return Compared(
            change.symbol, change.kind, change.interval, change.open_time, change.close_time, change.anomaly, found,
            change.reason,
        )  # fmt: skip


class AnomalyEvaluation:
    def __init__(self, alerts: Iterable[Alert]) -> None:
        self._alerts: dict[str, list[Alert]] = {}
        for alert in alerts:
            self._alerts.setdefault(alert.symbol, []).append(alert)
        self._known: dict[str, Known] = {}

    def watches(self, symbol: str) -> bool:
        return symbol in self._alerts

    def restore(self, known: Mapping[str, Known]) -> None:
        """Set the last states of alerts, by id."""
        self._known = dict(known)

    def evaluate(self, window: Compared, position: Position, recorded_ms: int) -> list[Transition]:
        """Return the alerts that fire or resolve. `recorded_ms` is when Kafka received the record."""
        turned = []
        for alert in self._alerts.get(window.symbol, ()):
            known = self._known.get(alert.id, Known(False))
            if evaluated_before(known, position):
                continue
            firing = known.firing
            if firing and known.window is not None:
                kind, interval, since_ms = known.window
                if (kind, interval) == (window.kind, window.interval) and window.open_ms >= since_ms:
                    firing = window.anomaly
            elif window.anomaly and alert.kind in (None, window.kind):
                newer = known.window is None or window.open_ms >= known.window[2]
                firing = newer and window.close_ms + OLD_MS >= recorded_ms
            cause = window.kind, window.interval, window.open_ms
            if firing == known.firing:
                if firing and window.anomaly and known.window is not None and cause[:2] == known.window[:2]:
                    self._known[alert.id] = replace(known, window=max(known.window, cause))
                continue
            since = window.close_ms if firing or known.since_ms is None else known.since_ms
            self._known[alert.id] = Known(firing, position, since, cause)
            point = Point(window.close_ms, window.value)
            turned.append(Transition(alert, firing, point, position, since, None, window))
        return turned
