"""Order books over time: what is read off them, averaged over equal steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from cryptocdc_api.analysis.indicators import WORKING, shown
from cryptocdc_api.reading.paging import Row, Span, position
from cryptocdc_api.reading.tables import BOOK_SUMS
from cryptocdc_api.shapes import Json, digits
from cryptocdc_core.times import iso

AVERAGES = {
    "spread": "Mean of best ask minus best bid.",
    "mid": "Mean of the mid price.",
    "imbalance": "Mean of bid minus ask quantity, divided by their sum: -1 to 1.",
}
_SYMBOL, _SIDES = BOOK_SUMS.column_names.index("symbol"), slice(-4, None)


def averages(rows: Sequence[Row], step_ms: int) -> list[Json]:
    """One object a step, in the order of `rows` (of BOOK_SUMS); `bucket_time` is the start of the step and `books` how
    many it has. An average is null where every book of its step lacks a side."""
    return [
        {
            "symbol": books[0][_SYMBOL], "bucket_time": iso(start), "bucket_time_ms": start, "books": len(books),
            **{name: _mean(values) for name, values in _series(books).items()},
        }
        for start, books in ((start, list(found)) for start, found in _steps(rows, step_ms))
    ]  # fmt: skip


def rest_of(span: Span, found: Sequence[Json], step_ms: int) -> Span:
    """What of `span` follows the whole steps `found`, of which there is one at least."""
    start = found[-1]["bucket_time_ms"]
    edge = start if span.newest_first else start + step_ms - 1
    return Span(span.start, span.end, span.newest_first, (edge,))


def _steps(rows: Sequence[Row], step_ms: int) -> Iterator[tuple[int, Iterator[Row]]]:
    def start_of(row: Row) -> int:
        at = position(BOOK_SUMS, row)[0]
        return at - at % step_ms

    return groupby(rows, start_of)


def _series(books: Sequence[Row]) -> dict[str, list[Decimal]]:
    found: dict[str, list[Decimal]] = {name: [] for name in AVERAGES}
    for row in books:
        bid, ask, bid_total, ask_total = row[_SIDES]
        if bid is not None and ask is not None:
            found["spread"].append(WORKING.subtract(ask, bid))
            found["mid"].append(WORKING.divide(WORKING.add(ask, bid), Decimal(2)))
        if bid_total and ask_total:
            both = WORKING.add(bid_total, ask_total)
            found["imbalance"].append(WORKING.divide(WORKING.subtract(bid_total, ask_total), both))
    return found


def _mean(values: Sequence[Decimal]) -> str | None:
    if not values:
        return None
    mean = shown(WORKING.divide(sum(values, Decimal(0)), Decimal(len(values))))
    return None if mean is None else digits(mean)
