"""The days that PostgreSQL keeps, whose rows must not bypass it: fetched over REST, up to the first row captured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from cryptocdc_adapters.exchange.rest import ExchangeRefused
from cryptocdc_adapters.postgres.history_files import OVER_REST, HistoryFile
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.rows.versions import SETTLE_MS
from cryptocdc_core.time import intervals, times
from cryptocdc_exchanges.port import Series, Venue
from cryptocdc_producer.archive.plan import REST_DAYS, Days
from cryptocdc_producer.rest.history import Fetched, Progress
from cryptocdc_producer.rest.ranges import Range

_SHOWN = 200


class Records(Protocol):
    """What is recorded of each part, and what is stored; see `HistoryFiles`."""

    def save(self, files: Iterable[HistoryFile], /) -> None: ...

    def first_stored(self, table: str, symbol: str, kind: str, from_ms: int) -> int | None: ...


class Source(Protocol):
    """Fetches ranges into PostgreSQL; see `Ranges`."""

    problems: list[str]

    async def fetch(self, symbol: str, wanted: Sequence[Range], progress: Progress) -> dict[str, Fetched]: ...


class Missing(NamedTuple):
    """A range of time that is to be fetched. `captured`: whether it ends where the rows of capture begin."""

    from_ms: int
    to_ms: int
    captured: bool


@dataclass
class Part:
    """A series' rows of those days. `missing`: what is left to fetch of it; None if REST does not have it."""

    record: HistoryFile
    missing: Missing | None = None


def missing_of(
    from_ms: int, to_ms: int, before: HistoryFile | None, first_stored: Callable[[int], int | None]
) -> Missing | None:
    """Return what is to be fetched of [from_ms, to_ms); None if capture, or an earlier run, has all of it.

    `before`: what is recorded. Rows of a range that was interrupted don't show that what follows them is stored, so it
    is fetched again. `first_stored`: returns the time in ms of the first row captured from a time on.
    """
    look = from_ms
    if before is not None and before.end_ms > from_ms:
        if before.state == "planned":
            from_ms, to_ms, look = min(from_ms, before.start_ms), max(to_ms, before.end_ms), before.end_ms
        elif before.state == "loaded" and before.start_ms <= from_ms:
            from_ms = look = before.end_ms
    stored = first_stored(look)
    captured = stored is not None and stored < to_ms
    end = stored if stored is not None and captured else to_ms
    return Missing(from_ms, end, captured) if from_ms < end else None


def final_before(interval: str, now_ms: int) -> int:
    """Return the time in ms before which candles open that are all final; three-day candles have no known opening."""
    settled = now_ms - SETTLE_MS
    return intervals.preceding("3d", settled) if interval == "3d" else intervals.opening(interval, settled)


class Recent:
    """The parts of one feed, one for each series."""

    def __init__(self, venue: Venue, records: Records, known: Iterable[HistoryFile], end_ms: int | None) -> None:
        """`known`: what is recorded already. `end_ms`: the end of what is wanted, exclusive; None: now."""
        self._venue, self._records, self._end = venue, records, end_ms
        self._known = {it.path: it for it in known}

    def _end_ms(self, series: Series) -> int:
        """Return the end of what is wanted; a candle that is not final yet is left to a later run."""
        now_ms = times.now_ms()
        most = final_before(series.kind, now_ms) if series.table == KLINES.table else now_ms
        return most if self._end is None else min(self._end, most)

    def parts(self, series: Iterable[Series], days: Mapping[str, Days]) -> list[Part]:
        """Return those that are left to fetch, or that REST does not have. `days`: by table."""
        found = []
        for one in series:
            recent = days[one.table].recent
            if not recent:
                continue
            record = HistoryFile(f"{OVER_REST}{'/'.join(one)}", *one, recent[0], self._end_ms(one))
            if days[one.table].beyond:
                record.reason = f"REST is for {REST_DAYS} days: those before are not loaded"
            if one.table != KLINES.table and not self._venue.gives_by_id(one.kind):
                record.state, record.reason = "absent", f"{self._venue.name} does not return these trades by id"
                found.append(Part(record))
            elif (missing := self._missing(record, record.start_ms)) is not None:
                record.start_ms, record.end_ms = missing.from_ms, missing.to_ms
                found.append(Part(record, missing))
        return found

    def _missing(self, record: HistoryFile, from_ms: int) -> Missing | None:
        series = Series(record.table_name, record.symbol, record.kind)
        return missing_of(
            from_ms,
            self._end_ms(series),
            self._known.get(record.path),
            lambda at: self._records.first_stored(*series, at),
        )

    async def fetch(self, part: Part, source: Source, progress: Progress) -> None:
        """Fetch a part and record what became of it. A part with refused elements stays planned. Raises ExchangeError,
        Rejected, psycopg2.Error, UnwrittenError."""
        record, missing, reason = part.record, part.missing, part.record.reason
        while missing is not None:
            before = self._known.get(record.path)
            follows = before is not None and before.state == "loaded" and before.end_ms == missing.from_ms
            if before is not None and follows:
                record.start_ms, record.rows = before.start_ms, before.rows
            else:
                record.start_ms, record.rows = missing.from_ms, 0
            record.end_ms = missing.to_ms
            self._end_as(record, "planned", reason)
            await self._fetch(record, missing, source, progress)
            if record.state != "loaded" or missing.captured:
                return
            # Nothing was captured when it began. If capture has begun since, it does not know of these rows.
            missing = self._missing(record, record.start_ms)
            missing = missing if missing is not None and missing.captured else None

    async def _fetch(self, record: HistoryFile, missing: Missing, source: Source, progress: Progress) -> None:
        from_ms, to_ms, captured = missing
        if captured and record.table_name != KLINES.table:
            to_ms += 1  # others of the same millisecond
        series = Series(record.table_name, record.symbol, record.kind)
        try:
            (fetched,) = (await source.fetch(record.symbol, [Range(series, from_ms, to_ms)], progress)).values()
        except ExchangeRefused as refused:
            if not refused.unknown_symbol:
                raise
            self._end_as(record, "absent", f"{self._venue.name} does not list it")
            return
        record.rows = (record.rows or 0) + fetched.rows
        if fetched.refused:
            example = source.problems[-1][:_SHOWN] if source.problems else ""
            self._end_as(record, "planned", f"{fetched.refused:,} elements were refused, such as {example}")
        else:
            self._end_as(record, "loaded", record.reason)

    def _end_as(self, record: HistoryFile, state: str, reason: str) -> None:
        record.state, record.reason = state, reason  # type: ignore[assignment]
        self._records.save([record])
        self._known[record.path] = replace(record)
