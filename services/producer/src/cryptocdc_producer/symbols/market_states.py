"""The states of the captured markets, from what the exchange lists and from the frames that come. Pure.

A state decides nothing about subscriptions: all captured symbols stay subscribed. It says what is reported, and which
symbols are left out of requests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

from cryptocdc_core.resolve import Market, implausible


class State(Enum):
    PAUSED = "paused"
    """Listed, and not trading."""
    UNLISTED = "unlisted"
    """Not listed: not yet, or not any more."""


class SuspectList(Exception):
    """A list of markets that can't be right; the message says why."""


class MarketStates:
    """A market leaves trading when two answers in a row say so, and comes back with one, or with a frame."""

    def __init__(self, always_listed: Collection[str]) -> None:
        self._always_listed = always_listed
        self._listed: Collection[str] = ()
        """What the last list that was believed holds: the next one must hold most of it."""
        self._doubts: dict[str, State] = {}
        """What the last answer alone says."""
        self.absent: dict[str, State] = {}
        """The markets that are not trading."""

    @property
    def doubtful(self) -> bool:
        """Whether another answer is needed to know."""
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
        """Forget all but the `wanted` symbols."""
        self._doubts = {symbol: state for symbol, state in self._doubts.items() if symbol in wanted}
        self.absent = {symbol: state for symbol, state in self.absent.items() if symbol in wanted}

    def trades(self, symbols: Collection[str]) -> list[str]:
        """Take note that these markets trade, by their frames or by the exchange's word; those that are back."""
        for symbol in symbols:
            self._doubts.pop(symbol, None)
        return [symbol for symbol in symbols if self.absent.pop(symbol, None) is not None]

    def take(
        self, markets: Mapping[str, Market], wanted: Collection[str], live: Collection[str]
    ) -> tuple[list[str], list[str]]:
        """Take the exchange's list of all its markets, `live` being the symbols that send frames; those that are back,
        and those that have left trading. Raises SuspectList.
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
    """None for a market that trades."""
    if market is None or not market.listed:
        return State.UNLISTED
    return None if market.trading else State.PAUSED
