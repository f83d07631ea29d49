"""Figures of rows, averaged over equal steps of time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from cryptocdc_api.analysis.indicators import WORKING, shown
from cryptocdc_api.reading.paging import Row, Span, position
from cryptocdc_api.reading.tables import BOOK_SUMS, TABLES, Table
from cryptocdc_api.shapes import Json, digits
from cryptocdc_core.catalogue.streams import BEST_QUOTES
from cryptocdc_core.time.times import iso

Figure = Callable[[Row], Decimal | None]


@dataclass(frozen=True)
class Averaged:
    """Figures of a table's rows, by name: the description, and how it is computed from a row. `counted`: what the rows
    are called, in the plural."""

    table: Table
    counted: str
    figures: Mapping[str, tuple[str, Figure]]

    @property
    def docs(self) -> Mapping[str, str]:
        return {name: doc for name, (doc, _) in self.figures.items()}

    def averages(self, rows: Sequence[Row], step_ms: int) -> list[Json]:
        """Return one object per step, in the order of `rows`: the table's time is the start of the step, and `counted`
        the number of rows in it. An average is null if every row of the step lacks a side."""
        symbol, time = self.table.column_names.index("symbol"), self._time
        return [
            {
                "symbol": found[0][symbol], time: iso(start), f"{time}_ms": start, self.counted: len(found),
                **{name: _mean([figure(row) for row in found]) for name, (_, figure) in self.figures.items()},
            }
            for start, found in ((start, list(found)) for start, found in self._steps(rows, step_ms))
        ]  # fmt: skip

    def rest_of(self, span: Span, found: Sequence[Json], step_ms: int) -> Span:
        """Return the part of `span` after the complete steps `found`, of which there is at least one."""
        start = found[-1][f"{self._time}_ms"]
        edge = start if span.newest_first else start + step_ms - 1
        return Span(span.start, span.end, span.newest_first, (edge,))

    @property
    def _time(self) -> str:
        return self.table.clustering[0]

    def _steps(self, rows: Sequence[Row], step_ms: int) -> Iterator[tuple[int, Iterator[Row]]]:
        def start_of(row: Row) -> int:
            at = position(self.table, row)[0]
            return at - at % step_ms

        return groupby(rows, start_of)


def _spread(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    return None if bid is None or ask is None else WORKING.subtract(ask, bid)


def _mid(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    return None if bid is None or ask is None else WORKING.divide(WORKING.add(ask, bid), Decimal(2))


def _imbalance(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    if not bid or not ask:
        return None
    return WORKING.divide(WORKING.subtract(bid, ask), WORKING.add(bid, ask))


def _mean(values: Sequence[Decimal | None]) -> str | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = shown(WORKING.divide(sum(known, Decimal(0)), Decimal(len(known))))
    return None if mean is None else digits(mean)


def _columns(table: Table, *names: str) -> tuple[int, ...]:
    return tuple(table.column_names.index(name) for name in names)


_QUOTES = TABLES[BEST_QUOTES.table]
_BID, _ASK, _BIDS, _ASKS = _columns(BOOK_SUMS, "best_bid", "best_ask", "bid_total", "ask_total")
_QUOTED_BID, _QUOTED_ASK = _columns(_QUOTES, "bid_price", "ask_price")

BOOKS = Averaged(
    BOOK_SUMS, "books",
    {
        "spread": ("Mean of best ask minus best bid.", lambda row: _spread(row[_BID], row[_ASK])),
        "mid": ("Mean of the mid price.", lambda row: _mid(row[_BID], row[_ASK])),
        "imbalance": (
            "Mean of bid minus ask quantity, divided by their sum: -1 to 1.",
            lambda row: _imbalance(row[_BIDS], row[_ASKS]),
        ),
    },
)  # fmt: skip
QUOTES = Averaged(
    _QUOTES, "quotes",
    {
        "bid": ("Mean of the best bid price.", lambda row: row[_QUOTED_BID]),
        "ask": ("Mean of the best ask price.", lambda row: row[_QUOTED_ASK]),
        "spread": ("Mean of best ask minus best bid.", lambda row: _spread(row[_QUOTED_BID], row[_QUOTED_ASK])),
        "mid": ("Mean of the mid price.", lambda row: _mid(row[_QUOTED_BID], row[_QUOTED_ASK])),
    },
)  # fmt: skip
