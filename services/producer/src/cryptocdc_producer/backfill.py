"""Gaps filled over REST, with the part of the weight budget that what is live does not need."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from cryptocdc_adapters.exchange import (
    SPARE,
    ExchangeBusy,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnreachable,
    Stopped,
)
from cryptocdc_core import intervals
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.rows import Row
from cryptocdc_core.versions import SETTLE_MS
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.gaps import Gap
from cryptocdc_producer.intake import GapEnd, Intake
from cryptocdc_producer.questions import Questions

log = logging.getLogger(__name__)

_FIRST_AFTER_S = 1.0
"""REST knows a trade a little later than the stream tells it."""
_RETRIES_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Between attempts to get what the exchange does not yet give; then the gap counts as unfillable."""
_AWAY = (ExchangeUnreachable, ExchangeBusy, Stopped)


class _Unfinished(Exception):
    """The exchange has not given all of the gap, and may yet."""


@dataclass
class _Filling:
    """How far a gap is filled: where to go on, rows written so far, elements refused, attempts made."""

    gap: Gap
    at: int
    filled: int = 0
    refused: int = 0
    attempts: int = 0


class Backfill:
    """One gap after the other. What the exchange will never give is unfillable, and why is kept with the gap."""

    def __init__(
        self, feed: CryptoFeed, venue: Venue, questions: Questions, intake: Intake, metrics: ProducerMetrics
    ) -> None:
        trades = feed.spec.streams.recent_trades
        self._kind = "aggregate" if trades is None else trades.kind
        self._possible = venue.gives_by_id(self._kind)
        self._questions, self._intake, self._metrics = questions, intake, metrics
        self._due: list[tuple[float, int, _Filling]] = []
        """When to try (monotonic), order, what."""
        self._open: set[Gap] = set()
        self._order = count()
        self._added = asyncio.Event()

    def add(self, gaps: Iterable[Gap]) -> None:
        """Fill them as soon as may be."""
        for gap in gaps:
            if gap not in self._open:
                self._open.add(gap)
                self._later(_Filling(gap, gap.first), max(_FIRST_AFTER_S, _settles_in_s(gap)))
        self._show()
        self._added.set()

    def drop(self, symbol: str) -> None:
        """Leave the gaps of `symbol` to whoever captures it now."""
        self._open = {gap for gap in self._open if gap.symbol != symbol}
        self._show()

    def _later(self, filling: _Filling, seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), filling))

    def _show(self) -> None:
        for table in (RECENT_TRADES.table, KLINES.table):
            self._metrics.gaps_open.labels(table).set(sum(gap.table == table for gap in self._open))

    async def run(self) -> None:
        while True:
            self._added.clear()
            wait = self._due[0][0] - time.monotonic() if self._due else None
            if wait is None or wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._added.wait(), wait)
                continue
            _, _, filling = heapq.heappop(self._due)
            if filling.gap in self._open:
                await self._try(filling)

    async def _try(self, filling: _Filling) -> None:
        gap = filling.gap
        if gap.table == RECENT_TRADES.table and not self._possible:
            self._end(filling, "refused: this exchange does not give these trades by id")
            return
        try:
            await (self._trades(filling) if gap.table == RECENT_TRADES.table else self._klines(filling))
        except (_Unfinished, ExchangeError, Rejected) as problem:
            last = filling.attempts >= len(_RETRIES_S)
            # An exchange that can't be reached now can be later; only what it answers without has an end. That a symbol
            # is unknown, an exchange in maintenance says of every one: it is asked again, too.
            if last and not isinstance(problem, _AWAY):
                self._end(filling, f"refused: {problem}" if isinstance(problem, ExchangeRefused) else str(problem))
                return
            wait = _RETRIES_S[min(filling.attempts, len(_RETRIES_S) - 1)]
            log.info("%s %s %d to %d, again in %.0f s: %s", gap.table, gap.symbol, gap.first, gap.last, wait, problem)
            filling.attempts += 1
            self._later(filling, wait)
        else:
            refused = f", {filling.refused} refused" if filling.refused else ""
            whole = filling.filled == gap.size
            self._end(filling, "" if whole else f"the exchange has {filling.filled} of {gap.size}{refused}")

    def _end(self, filling: _Filling, reason: str) -> None:
        """The end is written after the rows, so it can't be true before they are there."""
        gap, filled = filling.gap, filling.filled
        self._intake.put(GapEnd(gap, "unfillable" if reason else "filled", reason[:500]))
        self._metrics.gap_rows.labels(gap.table, "filled").inc(filled)
        self._metrics.gap_rows.labels(gap.table, "unfillable").inc(gap.size - filled)
        self._open.discard(gap)
        self._show()
        log.info("%s %s %s %d to %d: %s", gap.table, gap.symbol, gap.interval, gap.first, gap.last, reason or "filled")

    async def _trades(self, filling: _Filling) -> None:
        gap = filling.gap
        while (at := filling.at) <= gap.last:
            page = await self._questions.trades(
                gap.symbol, self._kind, at, min(self._questions.page, gap.last - at + 2), SPARE
            )
            if page.last is None or page.last < at:
                raise _Unfinished(f"the exchange gives nothing from {at} on")
            wanted = [row for row in page.rows if at <= row.trade_id <= gap.last]
            await self._put(filling, wanted)
            filling.refused += sum(1 for refused in page.refused if refused is not None and at <= refused <= gap.last)
            filling.at = page.last + 1

    async def _klines(self, filling: _Filling) -> None:
        gap = filling.gap
        after = intervals.end(gap.interval, gap.last)
        while (at := filling.at) <= gap.last:
            limit = min(self._questions.page, intervals.count(gap.interval, at, gap.last) + 1)
            page = await self._questions.klines(gap.symbol, gap.interval, at, max(limit, 2), SPARE)
            # The newest of an answer is never taken as closed: one past the gap shows that all of it is.
            closed = [row for row in page.rows if row.open_time >= at and row.closed]
            open_times = [row.open_time for row in page.rows if row.open_time >= at and not row.closed]
            not_final = min(open_times, default=page.last)
            refused = [at_ms for at_ms in page.refused if at_ms is not None and at <= at_ms <= (not_final or 0)]
            if not closed and not refused:
                raise _Unfinished(f"the exchange gives no closed kline from {at} on")
            await self._put(filling, [row for row in closed if row.open_time < after])
            filling.refused += sum(1 for at_ms in refused if at_ms < after)
            filling.at = intervals.end(gap.interval, max(refused + [row.open_time for row in closed]))

    async def _put(self, filling: _Filling, rows: Sequence[Row]) -> None:
        await self._intake.room()
        self._intake.put_rows(rows, live=False)
        filling.filled += len(rows)


def _settles_in_s(gap: Gap) -> float:
    """Return in how many seconds the answers for all of a gap are final; negative when they are already."""
    if not gap.interval:
        return 0.0
    return (intervals.end(gap.interval, gap.last) + SETTLE_MS) / 1000 - time.time()
