"""Fills gaps over REST, with the part of the weight budget that live capture does not need."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from cryptocdc_adapters.exchange.rest import (
    ExchangeBusy,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnreachable,
    Stopped,
)
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.versions import SETTLE_MS
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_producer.archive.healing import Healing, Outcome
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import GapEnd, GapWait, Intake
from cryptocdc_producer.streams.continuity import HISTORY, Gap
from cryptocdc_producer.streams.handler import Filling, Handler, Unfinished

log = logging.getLogger(__name__)

_FIRST_AFTER_S = 1.0
"""A trade is available over REST slightly later than on the stream."""
_RETRIES_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Delays between attempts while the exchange does not have the rows yet; then the gap counts as unfillable."""
_AWAY = (ExchangeUnreachable, ExchangeBusy, Stopped)


class Backfill:
    """Fills gaps one after the other, and at the same time the past of symbols, which may take hours. A gap that the
    exchange can't fill becomes unfillable, with the reason."""

    def __init__(
        self,
        handlers: Mapping[str, Handler[Any]],
        requests: Requests,
        intake: Intake,
        metrics: ProducerMetrics,
        healing: Healing | None = None,
    ) -> None:
        """`handlers`: by table. `healing`: fills from the archive what can't be requested; None without an archive."""
        self._handlers, self._requests, self._intake, self._metrics = handlers, requests, intake, metrics
        self._healing = healing
        self._waiting: set[Gap] = set()
        """Open gaps that wait for a file of the archive."""
        self._missed: list[tuple[float, int, Filling]] = []
        """When to try (monotonic), sequence number, gap."""
        self._past: list[tuple[float, int, Filling]] = []
        """The same for HISTORY."""
        self._open: set[Gap] = set()
        self._order = count()
        self._added = asyncio.Event()

    def add(self, gaps: Iterable[Gap]) -> None:
        """Queue gaps to be filled as soon as possible."""
        for gap in gaps:
            if gap not in self._open and gap.table in self._handlers:
                self._open.add(gap)
                self._later(Filling(gap, gap.first), max(_FIRST_AFTER_S, _settles_in_s(gap)))
        self._show()
        self._added.set()

    def drop(self, symbol: str) -> None:
        """Drop the gaps of `symbol`, which another producer captures now."""
        self._open = {gap for gap in self._open if gap.symbol != symbol}
        self._waiting &= self._open
        if self._healing is not None:
            self._healing.drop(symbol)
        self._show()

    def _later(self, filling: Filling, seconds: float) -> None:
        due = self._past if filling.gap.reason == HISTORY else self._missed
        heapq.heappush(due, (time.monotonic() + seconds, next(self._order), filling))

    def _show(self) -> None:
        for table in [handler.table for handler in self._handlers.values() if handler.refillable]:
            waiting = sum(gap.table == table for gap in self._waiting)
            self._metrics.gaps_open.labels(table).set(sum(gap.table == table for gap in self._open) - waiting)
            self._metrics.gaps_waiting.labels(table).set(waiting)

    async def run(self) -> None:
        """Run forever. Both kinds of gaps share one thread of requests: while there are both, each gets every other
        page, so that what was just missed does not wait for days of history."""
        async with asyncio.TaskGroup() as filling:
            filling.create_task(self._fill(self._missed))
            filling.create_task(self._fill(self._past))

    async def _fill(self, due: list[tuple[float, int, Filling]]) -> None:
        while True:
            self._added.clear()
            wait = due[0][0] - time.monotonic() if due else None
            if wait is None or wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._added.wait(), wait)
                continue
            _, _, filling = heapq.heappop(due)
            if filling.gap in self._open:
                await self._try(filling)

    async def _try(self, filling: Filling) -> None:
        gap = filling.gap
        handler = self._handlers[gap.table]
        if (reason := handler.unfillable()) is not None:
            if self._healing is None or not self._healing.has(gap):
                self._end(filling, reason)
            else:
                self._heal(filling, self._healing)
            return
        try:
            await handler.fill(filling, self._requests)
        except (Unfinished, ExchangeError, Rejected) as problem:
            last = filling.attempts >= len(_RETRIES_S)
            # An exchange that can't be reached now can be later; only what it answers without has an end. That a symbol
            # is unknown, an exchange in maintenance says of every one: it is asked again, too.
            if last and not isinstance(problem, _AWAY):
                if gap.reason == HISTORY and isinstance(problem, ExchangeRefused) and problem.unknown_symbol:
                    self._end(filling, "")  # a market that is not listed has no past
                    return
                self._end(filling, f"refused: {problem}" if isinstance(problem, ExchangeRefused) else str(problem))
                return
            wait = _RETRIES_S[min(filling.attempts, len(_RETRIES_S) - 1)]
            log.info("%s, retrying in %.0f s: %s", gap, wait, problem)
            filling.attempts += 1
            self._later(filling, wait)
        else:
            refused = f", {filling.refused} refused" if filling.refused else ""
            whole = filling.filled == filling.expected
            self._end(filling, "" if whole else f"the exchange has {filling.filled} of {filling.expected}{refused}")

    def _heal(self, filling: Filling, healing: Healing) -> None:
        gap = filling.gap

        def waits(reason: str) -> None:
            if gap in self._open:
                self._waiting.add(gap)
                self._intake.put(GapWait(gap, reason[:500]))
                self._show()
                log.info("%s %s", gap, reason)

        def ended(outcome: Outcome) -> None:
            filling.filled = outcome.filled
            if gap in self._open:
                self._end(filling, outcome.reason, outcome.state)

        healing.add(filling, ended, waits)

    def _end(self, filling: Filling, reason: str, state: str | None = None) -> None:
        """The gap is closed after its rows, so it is never closed before they are stored. `state`: by default
        unfillable if there is a reason, else filled."""
        gap, filled = filling.gap, filling.filled
        self._intake.put(GapEnd(gap, state or ("unfillable" if reason else "filled"), reason[:500]))
        self._metrics.gap_rows.labels(gap.table, "filled").inc(filled)
        self._metrics.gap_rows.labels(gap.table, "unfillable").inc(max(0, filling.expected - filled))
        self._open.discard(gap)
        self._waiting.discard(gap)
        self._show()
        log.info("%s: %s", gap, reason or "filled")


def _settles_in_s(gap: Gap) -> float:
    """Return the seconds until responses for the whole gap are final; negative if they already are."""
    if not gap.interval:
        return 0.0
    return (intervals.end(gap.interval, gap.last) + SETTLE_MS) / 1000 - time.time()
