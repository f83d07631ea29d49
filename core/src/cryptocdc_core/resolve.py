"""What a feed's symbols mean on its exchange today."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptocdc_core.feed import CryptoFeed, FeedError
from cryptocdc_core.names import Names, Source, identity

LEAVE_RANK = 1.5
"""A symbol of `top` leaves only when it falls below this many times the count: no flapping at the edge."""


HINTS = 10
"""Unknown symbols for which one that is alike is looked for: for a thousand of them it would take minutes."""


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol as the exchange describes it (exchangeInfo)."""

    symbol: str
    quote: str
    trading: bool


@dataclass(frozen=True)
class ResolvedFeed:
    """A feed whose every symbol the exchange knows, and the identity that names its parts."""

    feed: CryptoFeed
    source: Source
    symbols: tuple[str, ...]
    """Sorted."""
    halted: tuple[str, ...] = field(default=())
    """Asked for by name and known, but not trading now."""

    @property
    def names(self) -> Names:
        return Names(identity(self.feed.name, self.source))


def resolve(
    feed: CryptoFeed,
    source: Source,
    markets: Mapping[str, Market],
    quote_volumes: Mapping[str, float],
    current: frozenset[str] = frozenset(),
) -> ResolvedFeed:
    """Resolve `names` or `top` against the exchange's `markets`, by symbol.

    `quote_volumes` (24 hours, in the quote asset) rank the markets for `top`; `current` are the symbols that an earlier
    resolution chose, which stay until they fall below LEAVE_RANK × count. Raises FeedError naming every unknown symbol.
    """
    if feed.spec.symbols.top is not None:
        top = feed.spec.symbols.top
        ranked = sorted(
            (m.symbol for m in markets.values() if m.trading and m.quote == top.quote),
            key=lambda symbol: (-quote_volumes.get(symbol, 0.0), symbol),
        )
        if not ranked:
            quotes = sorted({m.quote for m in markets.values() if m.trading})
            raise FeedError(
                [f"spec.symbols.top.quote: {top.quote!r} has no trading market; accepted: {', '.join(quotes[:20])}"]
            )
        _refuse_unknown_alerts(feed, markets)
        staying = [s for s in ranked[: int(top.count * LEAVE_RANK)] if s in current][: top.count]
        joining = [s for s in ranked if s not in current][: top.count - len(staying)]
        return ResolvedFeed(feed, source, tuple(sorted([*staying, *joining])))

    problems: list[str] = []
    halted: list[str] = []
    names = feed.spec.symbols.names or []
    for at, name in enumerate(names):
        if name not in markets:
            problems.append(_unknown(f"spec.symbols.names[{at}]", name, feed, markets, hinted=len(problems) < HINTS))
        elif not markets[name].trading:
            halted.append(name)
    if problems:
        raise FeedError(problems)
    return ResolvedFeed(feed, source, tuple(sorted(set(names) - set(halted))), tuple(sorted(halted)))


def _refuse_unknown_alerts(feed: CryptoFeed, markets: Mapping[str, Market]) -> None:
    """Which symbols `top` means changes by the day; one that the exchange does not know is a slip."""
    problems = [
        _unknown(f"spec.alerts[{at}].symbol", alert.symbol, feed, markets)
        for at, alert in enumerate(feed.spec.alerts)
        if alert.symbol not in markets
    ]
    if problems:
        raise FeedError(problems)


def _unknown(field: str, name: str, feed: CryptoFeed, markets: Mapping[str, Market], *, hinted: bool = True) -> str:
    near = difflib.get_close_matches(name, markets, n=3) if hinted else []
    hint = f"did you mean {', '.join(near)}?" if near else "a symbol of exchangeInfo is accepted"
    return f"{field}: {name!r} is unknown to {feed.spec.exchange}; {hint}"
