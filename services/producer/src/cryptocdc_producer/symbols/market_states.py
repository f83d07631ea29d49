"""The states of the captured markets, from the exchange's list and from received frames. Pure.

A state does not affect subscriptions: all captured symbols stay subscribed. It determines what is reported, and which
symbols are omitted from requests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

from cryptocdc_core.planning.resolve import Market, implausible


class State(Enum):
    PAUSED = "paused"
    """Listed, and not trading."""
    UNLISTED = "unlisted"
    """Not listed: not yet, or not any more."""


class SuspectList(Exception):
    """An implausible list of markets; the message says why."""


class MarketStates:
    """A market counts as not trading after two consecutive responses say so, and as trading after one, or after a
    frame."""

    def __init__(self, always_listed: Collection[str]) -> None:
        self._always_listed = always_listed
        self._listed: Collection[str] = ()
        """The last trusted list: the next one must contain most of it."""
        self._doubts: dict[str, State] = {}
        """The states according to the last response alone."""
        self.absent: dict[str, State] = {}
        """The markets that are not trading."""

    @property
    def doubtful(self) -> bool:
        """Whether another response is needed to decide."""
        return bool(self._doubts)

    @property
    def unlisted(self) -> set[str]:
        return {symbol for symbol, state in self.absent.items() if state is State.UNLISTED}

    @property
    def missing(self) -> set[str]:
        """Those that the last list does not hold, also where the one before it did."""
        said = {**self.absent, **self._doubts}
        return {symbol for symbol, state in said.items() if state is State.UNLISTED}

    @property
    def paused(self) -> set[str]:
        return {symbol for symbol, state in self.absent.items() if state is State.PAUSED}

    def keep(self, wanted: Collection[str]) -> None:
        """Remove all but the `wanted` symbols."""
        self._doubts = {symbol: state for symbol, state in self._doubts.items() if symbol in wanted}
        self.absent = {symbol: state for symbol, state in self.absent.items() if symbol in wanted}

    def trades(self, symbols: Collection[str]) -> list[str]:
        """Record that these markets trade, by their frames or the exchange's list. Returns those that had not been
        trading."""
        for symbol in symbols:
            self._doubts.pop(symbol, None)
        return [symbol for symbol in symbols if self.absent.pop(symbol, None) is not None]

    def take(
        self, markets: Mapping[str, Market], wanted: Collection[str], live: Collection[str]
    ) -> tuple[list[str], list[str]]:
        """Apply the exchange's list of all its markets; `live` are the symbols that send frames. Returns those that
        trade again and those that no longer trade. Raises SuspectList.
        """
        suspect = implausible(markets, self._always_listed, self._listed)
        if suspect is not None:
            raise SuspectList(suspect)
        self._listed = frozenset(markets)
        said = {symbol: state for symbol in wanted if (state := _state(markets.get(symbol))) and symbol not in live}
        back = self.trades([symbol for symbol in wanted if symbol not in said])
        gone = sorted(s for s, state in said.items() if s not in self.absent and self._doubts.get(s) is state)
        for symbol, state in said.items():
            if symbol in self.absent or symbol in gone:
                self.absent[symbol] = state
        self._doubts = {symbol: state for symbol, state in said.items() if symbol not in self.absent}
        return back, gone


def _state(market: Market | None) -> State | None:
    """Return the state; None for a market that trades."""
    if market is None or not market.listed:
        return State.UNLISTED
    return None if market.trading else State.PAUSED
