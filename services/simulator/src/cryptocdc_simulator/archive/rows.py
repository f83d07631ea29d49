"""The rows of a file, in pieces, so that a month is never in memory and the streams go on while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice

from cryptocdc_simulator.archive.faults import Struck, damaged
from cryptocdc_simulator.archive.files import AGGREGATES, KLINES, ArchiveFile, Format
from cryptocdc_simulator.dialects.port import prepared
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.klines import INTERVALS, following, opening
from cryptocdc_simulator.market.market import Listing

_HOUR_MS = 3_600_000
_TRADES = 1_000
_KLINES = 60
"""Lines in a piece: a few milliseconds."""


async def pieces(
    file: ArchiveFile, form: Format, listing: Listing, faults: Faults, struck: Struck, until: int
) -> AsyncIterator[list[str]]:
    """Yield the lines of a file: trades before `until` (ms), or candles that have closed, each as REST returns it."""
    micro = form.microseconds_from is not None and file.start >= form.microseconds_from
    micro = (micro or "microseconds" in struck) and "milliseconds" not in struck
    unit = 1000 if micro else 1
    if (form.has_titles or "header" in struck) and "no-header" not in struck:
        yield [form.titles[file.kind]]
    rows, size = (
        (_klines(file, form, listing, faults, unit), _KLINES)
        if file.kind == KLINES
        else (_trades(file, form, listing, unit, until), _TRADES)
    )
    row = 0
    if INTERVALS.get(file.interval, 0) >= _HOUR_MS:
        await prepared(listing, file.start, min(file.end, listing.now()))
    while lines := list(islice(rows, size)):
        yield damaged(lines, row, struck) if struck else lines
        row += len(lines)
        await asyncio.sleep(0)


def _trades(file: ArchiveFile, form: Format, listing: Listing, unit: int, until: int) -> Iterator[str]:
    tape, instrument = listing.tape, listing.instrument
    first, stop = tape.first_id_at(file.start), tape.first_id_at(until)
    if file.kind == AGGREGATES:
        return (form.aggregate(instrument, trade, unit) for trade in tape.aggregates(first, stop))
    raws = tape.raws(tape.first_raw_id_of(first), tape.first_raw_id_of(stop))
    return (form.trade(instrument, trade, unit) for trade in raws)


def _klines(file: ArchiveFile, form: Format, listing: Listing, faults: Faults, unit: int) -> Iterator[str]:
    interval, now = file.interval, listing.now()
    at = opening(interval, max(file.start, listing.tape.listed_ms))
    while at < min(file.end, now + 1):
        close = following(interval, at)
        if at >= file.start:
            bar = listing.bars.kline(at, min(close, now + 1))
            close_time = faults.close_time(file.symbol, interval, at, close)
            yield form.kline(listing.instrument, at, close_time, bar, unit)
        at = close
