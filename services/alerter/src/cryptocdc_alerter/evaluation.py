"""From prices, in the order of their partition, to alerts that fire and resolve. Pure: no clock, no I/O.

A price is either `filled` in, when it was evaluated before this program began and only windows need it, or `taken`. The
same prices give the same transitions, whatever was restarted in between: what an alert was at last, and by which record
of the partition it became so, is `Known` from the alerts' own topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from cryptocdc_alerter.watch import Watch
from cryptocdc_alerter.window import Extremes, Point
from cryptocdc_core.alerts import Alert


class Position(NamedTuple):
    """Of a record in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Known:
    """What an alert was at last: `since_ms` when it fired; `position` of the price by which it became so."""

    firing: bool
    position: Position | None = None
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert that has fired or resolved."""

    alert: Alert
    firing: bool
    point: Point
    """The price that made it so."""
    position: Position
    since_ms: int
    """When it fired."""
    compared: tuple[Point, Decimal] | None
    """As Watch.compared gives it."""


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
    """All alerts of a feed, as far as their symbols' partitions are this program's."""

    def __init__(self, alerts: Iterable[Alert]) -> None:
        self._alerts: dict[str, list[Alert]] = {}
        for alert in alerts:
            self._alerts.setdefault(alert.symbol, []).append(alert)
        self._known: dict[str, Known] = {}
        self._symbols: dict[str, _Symbol] = {}

    @property
    def longest_ms(self) -> int:
        """Of all windows."""
        return max((alert.window_ms for alerts in self._alerts.values() for alert in alerts), default=0)

    def watches(self, symbol: str) -> bool:
        return symbol in self._alerts

    def know(self, known: Mapping[str, Known]) -> None:
        """What the alerts were at last, by id, for symbols whose prices are yet to be seen."""
        self._known = dict(known)

    def fill(self, symbol: str, point: Point, position: Position) -> None:
        self._see(symbol, point, position)

    def take(self, symbol: str, point: Point, position: Position) -> list[Transition]:
        """Those alerts that fire or resolve by this price. One that comes late only corrects the windows: the newest
        price is held against them."""
        state = self._see(symbol, point, position)
        turned = []
        for watched in state.alerts:
            watch, known = watched.watch, watched.known
            if _evaluated_before(known, position) or not watch.turn(state.newest.price):
                continue
            since_ms = state.newest.at_ms
            if not watch.firing and known.since_ms is not None:
                since_ms = known.since_ms
            watched.known = Known(watch.firing, position, since_ms)
            compared = watch.compared(state.newest.price)
            turned.append(Transition(watch.alert, watch.firing, state.newest, position, since_ms, compared))
        return turned

    def forget(self, partition: int) -> None:
        """It is another's now."""
        self._symbols = {symbol: state for symbol, state in self._symbols.items() if state.partition != partition}

    def _see(self, symbol: str, point: Point, position: Position) -> _Symbol:
        state = self._symbols.get(symbol)
        if state is None:
            state = self._symbols[symbol] = self._begun(symbol, point, position)
        for window in state.windows.values():
            window.add(point)
        if point.at_ms >= state.newest.at_ms:
            state.newest = point
        return state

    def _begun(self, symbol: str, point: Point, position: Position) -> _Symbol:
        state = _Symbol(position.partition, point)
        for alert in self._alerts[symbol]:
            window = None
            if alert.window_ms:
                window = state.windows.setdefault(alert.window_ms, Extremes(alert.window_ms))
            known = self._known.get(alert.id, Known(False))
            state.alerts.append(_Watched(Watch(alert, window, firing=known.firing), known))
        return state


def _evaluated_before(known: Known, position: Position) -> bool:
    """Whether this price, or a later one, has already made the alert what it is."""
    then = known.position
    return then is not None and then[:2] == position[:2] and then.offset >= position.offset
