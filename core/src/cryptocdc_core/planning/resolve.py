"""Resolves a feed's symbols against the markets that its exchange lists today."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.feed.symbols import has_quote
from cryptocdc_core.names import Names, Source, identity

LEAVE_RANK = 1.5
"""A symbol of `top` leaves only when its rank exceeds this many times the count, so that it does not flap."""

HINTS = 10
"""Number of unlisted symbols for which similar names are looked up: for a thousand it would take minutes."""

ENOUGH = 5
"""From this many previously captured symbols on, a list can be checked against them: fewer may all be delisted."""


class MarketState(Enum):
    TRADING = "trading"
    HALTED = "halted"
    """Listed, and not trading for now."""
    PENDING = "pending"
    """Announced: it has never traded."""
    GONE = "gone"
    """It will not trade again."""


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol as the exchange describes it. An exchange may also leave out those that are pending or gone."""

    symbol: str
    quote: str
    state: MarketState = MarketState.TRADING

    @property
    def trading(self) -> bool:
        return self.state is MarketState.TRADING

    @property
    def listed(self) -> bool:
        return self.state in (MarketState.TRADING, MarketState.HALTED)


@dataclass(frozen=True)
class ResolvedFeed:
    """A feed with the symbols to capture and its source."""

    feed: CryptoFeed
    source: Source
    symbols: tuple[str, ...]
    """Sorted. All of them are subscribed to, whatever state their markets are in."""
    halted: tuple[str, ...] = field(default=())
    """Those of `symbols` that are listed but not trading now."""
    waiting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those of `symbols` that are not listed, each with similar listed names in case it is a typo."""
    suspect: str = ""
    """Why the exchange's list of markets is implausible; `halted` and `waiting` are unknown then."""

    @property
    def names(self) -> Names:
        return Names(identity(self.feed.name, self.source))


def implausible(markets: Collection[str], *known: Collection[str]) -> str | None:
    """Return why a list of markets is implausible, None if it is plausible: it is empty, or lacks more than half of one
    of the groups of `known` symbols. During maintenance an exchange has listed a single test market.
    """
    if not markets:
        return "it lists no markets"
    for group in known:
        missing = sorted(symbol for symbol in group if symbol not in markets)
        if 2 * len(missing) > len(group):
            more = ", …" if len(missing) > 3 else ""
            count = f"{len(markets)} market{'s' if len(markets) > 1 else ''}"
            return (
                f"it lists {count} and lacks {len(missing)} of {len(group)} known ones: {', '.join(missing[:3])}{more}"
            )
    return None


def resolve(
    feed: CryptoFeed,
    source: Source,
    markets: Mapping[str, Market],
    quote_volumes: Mapping[str, float],
    current: frozenset[str] = frozenset(),
    absent: frozenset[str] = frozenset(),
) -> ResolvedFeed:
    """Resolve `names` or `top` against the exchange's `markets`, by symbol.

    A name that is not listed stays in the feed until it is listed. `quote_volumes` (24 hours, in the quote asset) rank
    the markets for `top`; `current` are the symbols that an earlier resolution chose, which stay until their rank
    exceeds LEAVE_RANK × count, and while it is unknown; `absent` are those of them that the previous list lacked, too.
    Raises FeedError for a quote asset, or an alert's symbol, without a market.
    """
    markets = {symbol: market for symbol, market in markets.items() if market.listed}
    if feed.spec.symbols.top is not None:
        chosen = _top(feed, markets, quote_volumes, current, absent)
    else:
        chosen = list(feed.spec.symbols.names or [])
    unlisted = [symbol for symbol in chosen if symbol not in markets]
    waiting = {symbol: _similar(symbol, markets) if at < HINTS else () for at, symbol in enumerate(unlisted)}
    halted = sorted(symbol for symbol in chosen if symbol in markets and not markets[symbol].trading)
    return ResolvedFeed(feed, source, tuple(sorted(chosen)), tuple(halted), waiting)


def unresolved(feed: CryptoFeed, source: Source, suspect: str, current: Collection[str]) -> ResolvedFeed | None:
    """Return the feed with its names, or with the symbols that `top` chose before, for use when the exchange's list is
    implausible; None if there are neither."""
    symbols = feed.spec.symbols.names or current
    return ResolvedFeed(feed, source, tuple(sorted(symbols)), suspect=suspect) if symbols else None


def _top(
    feed: CryptoFeed,
    markets: Mapping[str, Market],
    quote_volumes: Mapping[str, float],
    current: frozenset[str],
    absent: frozenset[str],
) -> list[str]:
    """Return the symbols of `top`. A paused one keeps its rank; one that is no longer listed leaves when a second list
    confirms it, since maintenance can hide markets for hours."""
    top = feed.spec.symbols.top
    assert top is not None
    listed = {market.symbol: market for market in markets.values() if market.quote == top.quote}
    # Symbols with another quote asset are from before the feed was edited.
    vanished = {symbol for symbol in current if symbol not in markets and has_quote(symbol, top.quote)}
    if not listed and not vanished:
        quotes = sorted({market.quote for market in markets.values()})
        raise FeedError(
            [f"spec.symbols.top.quote: {top.quote!r} has no trading market; accepted: {', '.join(quotes[:20])}"]
        )
    _refuse_unknown_alerts(feed, markets)
    trading = {symbol for symbol, market in listed.items() if market.trading}
    kept = {symbol for symbol in current & listed.keys() - trading if symbol not in quote_volumes}
    kept |= vanished - absent
    # During full maintenance there are only paused markets to choose from.
    candidates = (trading or listed.keys()) | (current & listed.keys())
    ranked = sorted(candidates - kept, key=lambda symbol: (-quote_volumes.get(symbol, 0.0), symbol))
    staying = [*sorted(kept), *(s for s in ranked[: int(top.count * LEAVE_RANK)] if s in current)][: top.count]
    joining = [symbol for symbol in ranked if symbol not in current]
    return [*staying, *joining[: top.count - len(staying)]]


def _refuse_unknown_alerts(feed: CryptoFeed, markets: Mapping[str, Market]) -> None:
    """Raise FeedError for alerts on unlisted symbols. `top` may choose any listed symbol some day, so one that is not
    listed is a typo."""
    problems = [
        f"spec.alerts[{at}].symbol: {alert.symbol!r} is unknown to {feed.spec.exchange};"
        f" {suggestion(_similar(alert.symbol, markets)) or 'a symbol that it lists is accepted'}"
        for at, alert in enumerate(feed.spec.alerts)
        if alert.symbol not in markets
    ]
    if problems:
        raise FeedError(problems)


def _similar(name: str, markets: Mapping[str, Market]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name, markets, n=3))


def suggestion(similar: Collection[str]) -> str:
    """Return "did you mean …?" with the similar names, or "" if there are none."""
    return f"did you mean {', '.join(similar)}?" if similar else ""


def waiting_notes(waiting: Mapping[str, tuple[str, ...]], exchange: str) -> list[str]:
    """Return a message for each symbol that is not listed yet."""
    return [
        f"{symbol} is not listed by {exchange}: waiting for its first trade"
        f"{f'; {suggestion(similar)}' if similar else ''}"
        for symbol, similar in sorted(waiting.items())
    ]
