"""Resolves a feed's symbols at the exchange, for both appliers."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping

from cryptocdc_adapters.exchange.rest import ExchangeError, Rest, markets, quote_volumes
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Source
from cryptocdc_core.planning.resolve import ENOUGH, Market, ResolvedFeed, implausible, resolve, unresolved
from cryptocdc_exchanges.registry import always_listed, check

log = logging.getLogger(__name__)

ATTEMPTS, PAUSE_S = 3, 2.0


class ExchangeSuspect(ExchangeError):
    """The exchange's list of markets is implausible, and there are no earlier symbols to use instead."""


def resolved(
    rest: Rest, feed: CryptoFeed, source: Source, current: Collection[str] = (), absent: Collection[str] = ()
) -> ResolvedFeed:
    """Ask the exchange what the feed's symbols mean; `current` and `absent` as in `resolve`.

    An implausible list of markets is requested again; if it remains so, the feed keeps its names or previous symbols,
    with the reason. Raises FeedError, also for what the exchange does not support; ExchangeError.
    """
    check(feed)
    found, suspect = _believable(rest, feed, source, current)
    if suspect is None:
        volumes = quote_volumes(rest) if feed.spec.symbols.top is not None else {}
        return resolve(feed, source, found, volumes, frozenset(current), frozenset(absent))
    kept = unresolved(feed, source, suspect, current)
    if kept is None:
        raise ExchangeSuspect(
            f"the list of markets of {feed.spec.exchange} can't be right, so nothing can be chosen for `top`:"
            f" {suspect}; try again when its maintenance is over, or give spec.symbols.names"
        )
    return kept


def _believable(
    rest: Rest, feed: CryptoFeed, source: Source, current: Collection[str]
) -> tuple[Mapping[str, Market], str | None]:
    """Return the markets, and why their list is still implausible after ATTEMPTS."""
    always = always_listed(feed, source)
    before = current if len(current) >= ENOUGH else ()
    for attempt in range(ATTEMPTS):
        found = markets(rest)
        suspect = implausible(found, always, before)
        if suspect is None:
            break
        log.warning("%s: implausible list of markets: %s", feed.spec.exchange, suspect)
        if attempt < ATTEMPTS - 1:
            time.sleep(PAUSE_S)
    return found, suspect
