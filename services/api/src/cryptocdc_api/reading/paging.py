"""Splits a time range into partitions and pages. Pure: the function that reads a partition is passed in.

A page ends after `limit` rows or MOST_PARTITIONS partitions, whichever comes first, so the work of a request is bounded
however wide its range and however empty its table. Its last position is where the next page starts.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cryptocdc_api.reading.tables import Table
from cryptocdc_api.refusals import Refused
from cryptocdc_core.catalogue import Bucket
from cryptocdc_core.time.times import LATEST_MS, millis

MOST_PARTITIONS = 48
"""Per page; each is one read, which takes a millisecond or two if the partition is empty."""
STREAMED_ROWS = 1000
"""Per page of a streamed range."""

LEAST, MOST = -(2**63), 2**63 - 1

Position = tuple[int, ...]
"""The values of a row's clustering columns, times in milliseconds."""

Row = Sequence[Any]
Read = Callable[[int, Position, Position, int], Awaitable[list[Row]]]
"""Arguments: the start of a partition's bucket, two exclusive positions, the maximum number of rows. Returns the rows
between the positions, in the query's order."""


@dataclass(frozen=True, slots=True)
class Span:
    """`start` ≤ time < `end` in milliseconds, and the order. `after`: only rows that follow this position."""

    start: int
    end: int
    newest_first: bool = True
    after: Position | None = None


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    table: str
    start: int
    end: int
    newest_first: bool
    after: tuple[int, ...]


def to_cursor(table: Table, span: Span) -> str:
    """Return the span as URL-safe text. `span.after` must be set."""
    assert span.after is not None
    packed = msgspec.json.encode(_Cursor(table.name, span.start, span.end, span.newest_first, span.after))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def from_cursor(table: Table, text: str) -> Span:
    """Return the span of a cursor. Raises Refused for text that is not a cursor of this table."""
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        found = msgspec.json.decode(packed, type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        found = None
    whole = found is not None and found.table == table.name and len(found.after) == len(table.clustering)
    if not whole or not all(LEAST <= part <= MOST for part in found.after) or not in_time(found):  # type: ignore[union-attr,arg-type]
        raise Refused("cursor", text, "an X-Next-Cursor from this endpoint")
    assert found is not None
    return Span(found.start, found.end, found.newest_first, found.after)


def in_time(found: _Cursor) -> bool:
    return all(0 <= at <= LATEST_MS for at in (found.start, found.end, found.after[0]))


def bounds(table: Table, span: Span) -> tuple[Position, Position]:
    """Return the two exclusive positions that bound the span's rows."""
    more = len(table.clustering) - 1
    low: Position = (span.start - 1, *(MOST,) * more)
    high: Position = (span.end, *(LEAST,) * more)
    if span.after is not None:
        if span.newest_first:
            high = min(high, span.after)
        else:
            low = max(low, span.after)
    return low, high


def buckets(bucket: Bucket, low: Position, high: Position, newest_first: bool) -> Iterator[int]:
    """Yield the starts of the buckets that can contain rows between the two positions, in order."""
    first = low[0] if low[1:] and low[1:] < (MOST,) * (len(low) - 1) else low[0] + 1
    last = high[0] if high[1:] and high[1:] > (LEAST,) * (len(high) - 1) else high[0] - 1
    if first > last:
        return
    first, last = bucket.floor(max(first, 0)), bucket.floor(max(last, 0))
    at = last if newest_first else first
    while first <= at <= last:
        yield at
        at = bucket.floor(at - 1) if newest_first else bucket.next(at)


def position(table: Table, row: Row) -> Position:
    values = (row[place] for place in table.places)
    return tuple(value if isinstance(value, int) else millis(value) for value in values)


async def page(
    table: Table, span: Span, limit: int, read: Read, most_partitions: int = MOST_PARTITIONS
) -> tuple[list[Row], Span | None]:
    """Return the span's next rows, at most `limit` positions, and the remaining span; None at the end.

    If many partitions are empty, a page may have fewer rows than `limit`, even none, and still be followed by another.
    """
    low, high = bounds(table, span)
    most = limit * table.group
    rows: list[Row] = []
    for count, bucket in enumerate(buckets(table.bucket, low, high, span.newest_first)):
        if count == most_partitions:
            more = len(table.clustering) - 1
            edge = table.bucket.next(bucket) if span.newest_first else bucket - 1
            after = (edge, *((LEAST if span.newest_first else MOST),) * more)
            return rows, replace(span, after=after)
        rows += await read(bucket, low, high, most + 1 - len(rows))
        if len(rows) > most:
            following = position(table, rows[most])
            del rows[most:]
            # Rows that share a position stay together; otherwise the next page would skip the rest of them.
            whole = [row for row in rows if position(table, row) != following] if table.group > 1 else rows
            rows = whole or rows
            return rows, replace(span, after=position(table, rows[-1]))
    return rows, None


async def pages(table: Table, span: Span, read: Read) -> AsyncIterator[list[Row]]:
    """Yield all rows of a span page by page, each read on demand."""
    following: Span | None = span
    while following is not None:
        rows, following = await page(table, following, max(1, STREAMED_ROWS // table.group), read)
        if rows:
            yield rows
