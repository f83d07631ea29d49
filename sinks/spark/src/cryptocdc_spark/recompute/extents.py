"""What is computed and what is written of it, given a time range: the windows that lie in it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptocdc_analyzer.models import anomalies, forecasts
from cryptocdc_analyzer.models.history import Reach
from cryptocdc_analyzer.windows.series import Series, Span
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.computed import BARS, VOLATILITY
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time.times import iso

ENGINES = ("spark",)


class Range(NamedTuple):
    """[start_ms, end_ms), in milliseconds since the epoch; empty if the end is not after the start."""

    start_ms: int
    end_ms: int

    def __bool__(self) -> bool:
        return self.start_ms < self.end_ms

    def has(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms < self.end_ms


class Extent(NamedTuple):
    """Open times of the windows of one length."""

    length_ms: int
    written: Range
    computed: Range
    """Contains `written`, and the windows that rows of models depend on."""


@dataclass(frozen=True)
class Extents:
    """What to compute. An interval, or a whole table, of which nothing lies in the range is left out."""

    windows: Mapping[Series, Extent]
    """Of trades."""
    anomalies: Mapping[str, Extent]
    """By interval; the same for bars and for order books."""
    forecasts: Mapping[str, Extent]
    books: Range | None
    """Order books whose figures are written; None if the feed does not compute them."""

    def source(self, stream: Stream) -> Range:
        """Return the time range of the stored rows of `stream` that are needed; it may be empty."""
        if stream == RECENT_TRADES:
            return _hull(extent.computed for extent in self.windows.values())
        if self.books is None:
            return Range(0, 0)
        return _hull([self.books, *(extent.computed for extent in self.anomalies.values())])

    @property
    def sources(self) -> list[Stream]:
        """The streams whose stored rows are needed."""
        return [stream for stream in (RECENT_TRADES, ORDER_BOOK) if self.source(stream)]


def analytics_of(feed: CryptoFeed, engine: str) -> Analytics:
    """Return what the feed computes. Raises BadInput if it computes nothing, or for an unknown engine."""
    if engine not in ENGINES:
        raise BadInput(f"--engine: {engine!r} is not accepted; accepted: {', '.join(ENGINES)}")
    if feed.spec.analytics is None:
        raise BadInput(
            f"spec.analytics: {feed.name} has none, so there is nothing to recompute;"
            " accepted: a feed with bars, volatility or bookMetrics"
        )
    return feed.spec.analytics


def extents(analytics: Analytics, wanted: Range, least_ms: int = 0) -> Extents:
    """Return what to compute of a range. Rows from before `least_ms` may have expired: windows that need them are left
    out. Raises BadInput if nothing is left."""
    if not wanted:
        raise BadInput(f"--to: {iso(wanted.end_ms)} is not accepted; accepted: a time after --from")
    kept = Range(max(wanted.start_ms, least_ms), wanted.end_ms)
    of_anomalies = _with_past(analytics.anomaly_lengths, anomalies.REACH, kept, least_ms)
    of_forecasts = _with_past(analytics.forecast_lengths, forecasts.REACH, kept, least_ms)
    windows = {}
    for table, lengths, models in (
        (BARS.table, analytics.bar_lengths, (of_anomalies, of_forecasts)),
        (VOLATILITY.table, analytics.volatility_lengths, (of_forecasts,)),
    ):
        for interval, length in lengths.items():
            written = _whole(kept, length)
            if written:
                needed = [extents[interval].computed for extents in models if interval in extents]
                windows[Series(table, interval)] = Extent(length, written, _hull([written, *needed]))
    books = kept if analytics.book_metrics and kept else None
    if not windows and books is None:
        shown = f"{iso(wanted.start_ms)} to {iso(wanted.end_ms)}"
        since = f" after {iso(least_ms)}, from which on rows are kept" if least_ms > wanted.start_ms else ""
        raise BadInput(
            f"--from, --to: {shown} is not accepted; accepted: a range with a whole window of the feed{since}"
        )
    return Extents(windows, of_anomalies, of_forecasts, books)


def _with_past(lengths: Mapping[str, int], reach: Reach, kept: Range, least_ms: int) -> dict[str, Extent]:
    """Return the windows whose rows depend on those before them. One more run is computed to know which window is the
    last of its symbol."""
    found = {}
    for interval, length in lengths.items():
        run_ms = reach.windows * length
        first = (-(-least_ms // run_ms) + reach.before) * run_ms if least_ms else 0
        written = _whole(Range(max(kept.start_ms, first), kept.end_ms), length)
        if written:
            oldest, _ = reach.around(reach.start(written.start_ms, length), length)
            found[interval] = Extent(length, written, Range(max(0, oldest), written.end_ms + run_ms))
    return found


def spans_of(
    partitions: Iterable[tuple[str, int]], stream: Stream, rows: Range, symbols: Collection[str]
) -> list[Span]:
    """Return what to read: a span for each of Cassandra's partitions, (symbol, start of the bucket), that has rows of
    the range. `symbols`: only of these, of all if there are none given."""
    found = []
    for symbol, bucket in partitions:
        part = Range(max(bucket, rows.start_ms), min(stream.bucket.next(bucket), rows.end_ms))
        if part and (not symbols or symbol in symbols):
            found.append(Span(symbol, *part))
    return sorted(found)


def refuse_unknown(symbols: Sequence[str], stored: Collection[str]) -> None:
    """Raise BadInput if one of the symbols has no stored rows at all."""
    unknown = [symbol for symbol in symbols if symbol not in stored]
    if unknown:
        some = sorted(stored)[:20]
        more = f" and {len(stored) - len(some)} more" if len(stored) > len(some) else ""
        accepted = f"{', '.join(some)}{more}" if some else "none: there are no stored rows"
        raise BadInput(f"--symbol: {', '.join(unknown)} is not accepted; accepted: {accepted}")


def _whole(given: Range, length_ms: int) -> Range:
    """Return the range of the whole windows in a range."""
    return Range(-(-given.start_ms // length_ms) * length_ms, given.end_ms - given.end_ms % length_ms)


def _hull(ranges: Iterable[Range]) -> Range:
    given = [one for one in ranges if one]
    return Range(min(one.start_ms for one in given), max(one.end_ms for one in given)) if given else Range(0, 0)
