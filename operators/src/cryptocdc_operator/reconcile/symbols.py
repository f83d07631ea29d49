"""Resolves a feed's symbols against the exchange's list, once a day or when the feed's symbols change."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.planning.resolve import ResolvedFeed, waiting_notes
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.reconcile.topics import listed
from cryptocdc_operator.resources.source import source_of
from cryptocdc_operator.resources.workloads import digest
from cryptocdc_operator.servers.port import ExchangeSilent
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.model import Status

log = logging.getLogger("cryptocdc.operator")

RESOLVE_AGAIN = timedelta(days=1)
RESOLVE_SOON = timedelta(minutes=1)
"""While a market is paused or not listed, or the exchange's list was implausible."""


@dataclass
class Resolution:
    """One pass's resolution of the symbols. It reads and updates the feed's `status`."""

    operator: Operator
    feed: CryptoFeed
    status: Status
    now: datetime
    post_event: PostEvent
    problem: Assessment | None = None
    """Why the symbols could not be resolved."""

    def resolve(self) -> ResolvedFeed | None:
        """Return the resolved symbols; None for a feed that has a `problem` and never had any symbols. The exchange is
        queried when the feed's symbols change, and once a day."""
        feed = self.feed
        requested = digest([feed.spec.exchange, feed.spec.endpoints.rest, feed.spec.symbols.model_dump()])
        then, status = self.status.resolved_at, self.status
        same = status.symbol_names is not None and status.resolved_from == requested
        open_questions = status.waiting_names or status.halted_names or status.suspect_list
        if same and then is not None and self.now < then + (RESOLVE_SOON if open_questions else RESOLVE_AGAIN):
            return self._resolved_before()
        try:
            resolved = self._request(same)
        except FeedError as error:
            return self._unresolved("UnknownSymbol", "; ".join(error.problems))
        except ExchangeSilent as error:
            if same:
                log.warning("%s: keeping its symbols: %s", feed.name, error)
                return self._resolved_before()
            return self._unresolved("ExchangeSilent", f"{feed.spec.exchange}: {error}")
        self.status.resolved_from = requested
        return resolved

    def record(self, resolved: ResolvedFeed) -> Assessment:
        """Record the feed's symbols in the status, and return the condition of their markets."""
        self.status.symbol_names, self.status.symbols = list(resolved.symbols), len(resolved.symbols)
        self.status.halted_names, self.status.waiting_names = list(resolved.halted), list(resolved.waiting)
        return assess.markets(
            self.feed.spec.exchange, len(resolved.symbols), resolved.halted,
            self.status.waiting_notes or (), self.status.suspect_list or "",
        )  # fmt: skip

    def _request(self, same: bool) -> ResolvedFeed:
        """Query the exchange. If its list of markets is implausible, keep what is known about them."""
        exchange, waited = self.feed.spec.exchange, frozenset(self.status.waiting_names or ())
        current = frozenset(self.status.symbol_names or ())
        resolved = self.operator.external.resolve(self.feed, current, waited)
        self.status.resolved_at = self.now
        self.status.suspect_list = resolved.suspect or None
        if resolved.suspect:
            return self._resolved_before() if same else resolved
        self.status.waiting_notes = waiting_notes(resolved.waiting, exchange)
        fresh = {symbol: similar for symbol, similar in resolved.waiting.items() if symbol not in waited}
        if fresh:
            self.post_event("Warning", "NotListed", "; ".join(waiting_notes(fresh, exchange)))
        appeared = sorted((waited - resolved.waiting.keys()) & set(resolved.symbols))
        if appeared:
            self.post_event("Normal", "Listed", listed(appeared))
        return resolved

    def _unresolved(self, reason: str, message: str) -> ResolvedFeed | None:
        """Record the problem, and continue with the previous symbols, if any."""
        self.problem = Assessment("False", reason, message)
        return None if self.status.symbol_names is None else self._resolved_before()

    def _resolved_before(self) -> ResolvedFeed:
        symbols, halted = self.status.symbol_names or (), self.status.halted_names or ()
        waiting = dict.fromkeys(self.status.waiting_names or (), ())
        source = source_of(self.feed, self.operator.settings)
        return ResolvedFeed(self.feed, source, tuple(symbols), tuple(halted), waiting)
