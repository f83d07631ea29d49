"""Rolling statistics of the last 24 hours."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import Book, Level, step_at
from cryptocdc_simulator.market.klines import Bars
from cryptocdc_simulator.market.trades import Tape

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Stats:
    """The 24 hours up to `close_time` (ms). `previous_close`: the last price before them, in ticks."""

    bar: Bar
    previous_close: int
    last_quantity: int
    bid: Level
    ask: Level
    open_time: int
    close_time: int

    @property
    def change(self) -> int:
        return self.bar.close - self.bar.open

    @property
    def change_percent(self) -> str:
        """In percent of the opening price, with three decimals, as the exchange writes it."""
        thousandths = round(self.change * 100_000 / self.bar.open)
        return f"{'-' if thousandths < 0 else ''}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"


def stats_at(tape: Tape, bars: Bars, book: Book, now: int) -> Stats:
    start = now - DAY_MS
    bids, asks = book.snapshot(step_at(now), 1)
    return Stats(
        bar=bars.kline(start, now + 1),
        previous_close=tape.aggregate(max(tape.first_id_at(start) - 1, tape.first_id)).price,
        last_quantity=tape.aggregate(max(tape.first_id_at(now + 1) - 1, tape.first_id)).quantity,
        bid=bids[0],
        ask=asks[0],
        open_time=start,
        close_time=now,
    )
