"""A stretch of time fetched over REST, on request: trades and closed klines, written as capture writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_adapters.exchange import SPARE, ExchangeRefused
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_producer import intervals
from cryptocdc_producer.gaps import Gap
from cryptocdc_producer.intake import Intake
from cryptocdc_producer.questions import PAGE, Questions
from cryptocdc_producer.store import Stored

Progress = Callable[[str, int, int], None]
"""Called with what is fetched (e.g. "klines 1m"), rows so far, and the time in ms up to which it is there."""


@dataclass
class History:
    """One symbol of one feed. Each method returns how many rows the exchange gave and raises ExchangeError, Rejected.

    `stored` is what is there already: where the stretch begins later, the hole between is recorded as a gap, so that
    "all up to the last is stored or stands in the gaps" stays true.
    """

    feed: CryptoFeed
    historical_trades: bool
    symbol: str
    stored: Stored
    questions: Questions
    intake: Intake
    progress: Progress

    async def trades(self, from_ms: int, to_ms: int) -> int:
        """Trades with `from_ms` <= time < `to_ms`."""
        wanted = self.feed.spec.streams.recent_trades
        if wanted is None:
            return 0
        aggregate = wanted.kind == "aggregate"
        if not (aggregate or self.historical_trades):
            raise ExchangeRefused(0, "this exchange does not give raw trades by id")
        at = await self.questions.first_trade(self.symbol, aggregate, from_ms, SPARE)
        if at is None:
            return 0
        last = self.stored.last_trade
        if last is not None and at > last + 1:
            self.intake.put(Gap(RECENT_TRADES.table, self.symbol, "", last + 1, at - 1))
        taken, through = 0, from_ms
        while through < to_ms:
            rows = await self.questions.trades(self.symbol, aggregate, at, PAGE, SPARE)
            if not rows:
                break
            kept = [row for row in rows if from_ms <= row[1] < to_ms]
            await self.intake.room()
            self.intake.put_rows(RECENT_TRADES, kept, live=False)
            taken += len(kept)
            at, through = rows[-1][2] + 1, rows[-1][1]
            self.progress("trades", taken, min(through, to_ms))
            if len(rows) < PAGE:
                break
        return taken

    async def klines(self, interval: str, from_ms: int, to_ms: int) -> int:
        """Closed klines with `from_ms` <= open time < `to_ms`."""
        at, taken = from_ms, 0
        while at < to_ms:
            rows = await self.questions.klines(self.symbol, interval, at, PAGE, SPARE)
            closed = [row for row in rows if row[13]]
            kept = [row for row in closed if row[2] < to_ms]
            last = self.stored.last_closes.get(interval)
            if kept and not taken and last is not None and intervals.following(interval, last) < kept[0][2]:
                hole = (intervals.following(interval, last), intervals.preceding(interval, kept[0][2]))
                self.intake.put(Gap(KLINES.table, self.symbol, interval, *hole))
            await self.intake.room()
            self.intake.put_rows(KLINES, kept, live=False)
            taken += len(kept)
            if len(rows) < PAGE or not closed:
                break
            at = intervals.following(interval, closed[-1][2])
            self.progress(f"klines {interval}", taken, min(at, to_ms))
        return taken
