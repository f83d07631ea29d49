"""Evaluates alerts on prices, in the order of their partition. Pure: no clock, no I/O.

A price that was evaluated before this program started only fills the windows (`fill`); others are evaluated. The same
prices give the same transitions, whatever was restarted in between: an alert's last state, and the record of the
partition that caused it, is `Known` from the alerts topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, Protocol

from cryptocdc_alerter.watch import Watch
from cryptocdc_alerter.window import Extremes, Point
from cryptocdc_core.feed.alerts import Alert


class Found(Protocol):
    """The window that caused a transition of an alert on anomalies."""

    @property
    def kind(self) -> str: ...
    @property
    def interval(self) -> str: ...
    @property
    def open_ms(self) -> int: ...
    @property
    def reason(self) -> str | None: ...


class Position(NamedTuple):
    """The position of a record in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Known:
    """The last state of an alert: `since_ms` is when it fired; `position` is that of the price that caused the
    state."""

    firing: bool
    position: Position | None = None
    since_ms: int | None = None
    window: tuple[str, str, int] | None = None
    """Of an alert on anomalies: kind, interval and open time of the window that caused the state."""


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert that has fired or resolved."""

    alert: Alert
    firing: bool
    point: Point
    """The price that caused it."""
    position: Position
    since_ms: int
    """When it fired."""
    compared: tuple[Point, Decimal] | None
    """The result of `Watch.compared`."""
    found: Found | None = None


@dataclass
class _Watched:
    watch: Watch
    known: Known


@dataclass
class _Symbol:
    """A symbol's prices so far, and its alerts."""

    partition: int
    newest: Point
    windows: dict[int, Extremes] = field(default_factory=dict)
    alerts: list[_Watched] = field(default_factory=list)


class Evaluation:
    """The alerts of a feed whose symbols' partitions are assigned to this program."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        self._alerts: dict[str, list[Alert]] = {}
        for alert in alerts:
            self._alerts.setdefault(alert.symbol, []).append(alert)
        self._known: dict[str, Known] = {}
        self._symbols: dict[str, _Symbol] = {}

    @property
    def longest_ms(self) -> int:
        """The length of the longest window."""
        return max((alert.window_ms for alerts in self._alerts.values() for alert in alerts), default=0)

    def watches(self, symbol: str) -> bool:
        return symbol in self._alerts

    def restore(self, known: Mapping[str, Known]) -> None:
        """Set the last states of alerts, by id, for symbols without a price so far."""
        self._known = dict(known)

    def fill(self, symbol: str, point: Point, position: Position) -> None:
        self._update(symbol, point, position)

    def evaluate(self, symbol: str, point: Point, position: Position) -> list[Transition]:
        """Return the alerts that fire or resolve at this price. A late price only corrects the windows: the conditions
        are evaluated at the newest price."""
        state = self._update(symbol, point, position)
        turned = []
        for watched in state.alerts:
            watch, known = watched.watch, watched.known
            if evaluated_before(known, position) or not watch.update(state.newest.price):
                continue
            since_ms = state.newest.at_ms
            if not watch.firing and known.since_ms is not None:
                since_ms = known.since_ms
            watched.known = Known(watch.firing, position, since_ms)
            compared = watch.compared(state.newest.price)
            turned.append(Transition(watch.alert, watch.firing, state.newest, position, since_ms, compared))
        return turned

    def remove(self, partition: int) -> None:
        """Remove the state of a partition that is no longer assigned."""
        self._symbols = {symbol: state for symbol, state in self._symbols.items() if state.partition != partition}

    def _update(self, symbol: str, point: Point, position: Position) -> _Symbol:
        state = self._symbols.get(symbol)
        if state is None:
            state = self._symbols[symbol] = self._new_symbol(symbol, point, position)
        for window in state.windows.values():
            window.add(point)
        if point.at_ms >= state.newest.at_ms:
            state.newest = point
        return state

    def _new_symbol(self, symbol: str, point: Point, position: Position) -> _Symbol:
        state = _Symbol(position.partition, point)
        for alert in self._alerts[symbol]:
            window = None
            if alert.window_ms:
                window = state.windows.setdefault(alert.window_ms, Extremes(alert.window_ms))
            known = self._known.get(alert.id, Known(False))
            state.alerts.append(_Watched(Watch(alert, window, firing=known.firing), known))
        return state


def evaluated_before(known: Known, position: Position) -> bool:
    """Return whether this price, or a later one, has already been evaluated for the alert."""
    then = known.position
    return then is not None and then[:2] == position[:2] and then.offset >= position.offset
