"""The state of faults on request: which are active, and how often each has occurred.

The REST API, the streams and the connections query it; `control.py` changes it over HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAINTENANCES = ("odd-market", "break", "empty")
"""What exchangeInfo may list during maintenance."""


@dataclass(frozen=True)
class Span:
    """Consecutive ids or steps, both ends inclusive."""

    first: int
    last: int

    def __contains__(self, value: int) -> bool:
        return self.first <= value <= self.last


@dataclass
class Dropped:
    """Trades that are in REST but in no stream: aggregate ids and their raw ids."""

    symbol: str
    aggregates: Span
    raws: Span


@dataclass
class Faults:
    clock: Callable[[], int]
    skew_ms: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    dropped: list[Dropped] = field(default_factory=list)
    book_gaps: list[tuple[str, Span]] = field(default_factory=list)  # steps whose diffs are not sent
    malformed: dict[str, str] = field(default_factory=dict)  # by REST endpoint, the kind of its next response
    short_pages: dict[str, int] = field(default_factory=dict)  # by REST endpoint, the length of its next page
    unsettled_ms: dict[str, int] = field(default_factory=dict)  # by symbol, how long REST lacks a kline's last trades
    archive: dict[str, dict[str, Span]] = field(default_factory=dict)  # by file and kind, the rows: see archive/faults
    cut_klines: dict[tuple[str, str, int], int] = field(default_factory=dict)  # close times of klines cut short
    duplicates: int = 0  # frames still to be sent twice
    reorders: int = 0  # frames still to be sent after the next one of their stream
    refuse_status: int = 0  # every REST request is refused with this until refuse_until (ms)
    refuse_until: int = 0
    page_until: int = 0  # every REST request gets a page of HTML until then (ms)
    maintenance_kind: str = ""  # exchangeInfo is that of a maintenance until maintenance_until (ms)
    maintenance_until: int = 0

    def refuse(self, status: int, seconds: float) -> None:
        self.refuse_status, self.refuse_until = status, self.clock() + round(seconds * 1000)

    def refusal(self) -> tuple[int, int] | None:
        """Return (status, remaining seconds) while REST requests are refused."""
        left = self.refuse_until - self.clock()
        return (self.refuse_status, max(1, -(-left // 1000))) if left > 0 else None

    def show_page(self, seconds: float) -> None:
        self.page_until = self.clock() + round(seconds * 1000)

    @property
    def shows_page(self) -> bool:
        return self.clock() < self.page_until

    def maintain(self, kind: str, seconds: float) -> None:
        self.maintenance_kind, self.maintenance_until = kind, self.clock() + round(seconds * 1000)

    @property
    def maintenance(self) -> str:
        """Return one of MAINTENANCES, "" for none."""
        return self.maintenance_kind if self.clock() < self.maintenance_until else ""

    def is_dropped(self, symbol: str, aggregate_id: int) -> bool:
        return any(drop.symbol == symbol and aggregate_id in drop.aggregates for drop in self.dropped)

    def is_book_gap(self, symbol: str, after: int, step: int) -> bool:
        """Return whether the diff of steps after+1..step is to be dropped."""
        return any(name == symbol and gap.first <= step and gap.last > after for name, gap in self.book_gaps)

    def kline_stop(self, symbol: str, open_time: int, close: int, now: int) -> int:
        """Return the time up to which REST has a kline's trades at `now` (ms): at first without its second half."""
        if close <= now < close + self.unsettled_ms.get(symbol, 0):
            self.counts["unsettled_klines"] += 1
            return (open_time + close) // 2
        return min(close, now + 1)

    def close_time(self, symbol: str, interval: str, open_time: int, close: int) -> int:
        """Return the reported close time of a kline whose interval ends at `close`."""
        return self.cut_klines.get((symbol, interval, open_time), close - 1)

    def page(self, endpoint: str, body: Any, rows: str | None) -> Any:
        """Return the rows of a response, which are in its field `rows`; only the first ones if its page is to be
        short."""
        if endpoint not in self.short_pages or isinstance(body, bytes) or not (rows or isinstance(body, list)):
            return body
        self.counts["short_pages"] += 1
        count = self.short_pages.pop(endpoint)
        return body[:count] if rows is None else {**body, rows: body[rows][:count]}

    def repeats(self) -> int:
        """Return how often the next frame is sent."""
        if self.duplicates == 0:
            return 1
        self.duplicates -= 1
        self.counts["duplicated_frames"] += 1
        return 2

    def clear(self) -> None:
        """End all active faults; the counts and the lists of dropped events stay."""
        self.skew_ms = self.duplicates = self.reorders = self.refuse_until = self.page_until = (
            self.maintenance_until
        ) = 0
        self.malformed.clear()
        self.short_pages.clear()
        self.unsettled_ms.clear()
        self.archive.clear()

    def state(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "skew_ms": self.skew_ms,
            "refusing": self.refusal() is not None,
            "maintenance": self.maintenance,
            "dropped_trades": [
                {
                    "symbol": drop.symbol,
                    "aggregate_ids": [drop.aggregates.first, drop.aggregates.last],
                    "trade_ids": [drop.raws.first, drop.raws.last],
                }
                for drop in self.dropped
            ],
        }
