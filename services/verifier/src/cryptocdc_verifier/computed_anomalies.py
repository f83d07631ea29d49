"""Proves anomalies: each window is compared with its past again, from the stored bars and order books' figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.times import now_ms
from cryptocdc_verifier.canonical import key_of, time_of
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.compare import ROUNDS, Difference, TableResult
from cryptocdc_verifier.firsts import Firsts, firsts
from cryptocdc_verifier.recompute_anomalies import (
    ANOMALIES,
    KINDS,
    RUN_WINDOWS,
    Facts,
    facts,
    lines_of,
    run_start,
)
from cryptocdc_verifier.window import Window, partitions_of

AHEAD_MS = 60_000
"""How far in the future a row may be: clocks differ."""

Row = tuple[int, str]
"""Open time and kind."""


class AnomaliesComparison:
    """Compares the anomalies of one feed; `result` is final after `settle`."""

    def __init__(
        self,
        sources: Sequence[Stream],
        lengths: Mapping[str, int],
        least_ms: int,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        paced: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`sources`: the tables that are compared with their past; `lengths` in milliseconds, by the text in the feed;
        `least_ms`: rows of before may have expired; `wait`, `paced` as in WindowsComparison."""
        self.stream: Stream = ANOMALIES
        self.result = TableResult(computed=True)
        self.unequal: set[tuple[str, ...]] = set()
        self._sources = sources
        self._lengths = lengths
        self._least_ms = least_ms
        self._cassandra = cassandra
        self._wait = wait
        self._paced = paced
        self._suspects: defaultdict[tuple[str, str, str, int], set[Row]] = defaultdict(set)
        """Rows that seem to differ, by source, symbol, interval and the start of their run."""

    def compare(self, window: Window) -> None:
        """Compare the windows that lie in `window`. All that was captured before must have been written."""
        self._compare(window, self.firsts())

    def compare_closed(self, closing: Window, found: Firsts) -> None:
        """As WindowsComparison.compare_closed."""
        self._compare(closing, found, ended_in=True)

    def firsts(self, since_ms: int | None = None, known: Firsts | None = None) -> Firsts:
        """Return since when rows must be there, by symbol, interval and kind."""
        compared = {
            (interval, kind) for interval in self._lengths for source in self._sources for kind in KINDS[source.table]
        }
        return firsts(self._cassandra, RECENT_TRADES, self.stream, compared, since_ms, known)

    def settle(self) -> None:
        """Compute the rows that seem to differ again, ROUNDS times, and count those that still do."""
        for left in reversed(range(ROUNDS)):
            suspects, self._suspects = self._suspects, defaultdict(set)
            if not suspects:
                return
            self._wait()
            for (table, symbol, interval, run_ms), rows in suspects.items():
                ours, theirs = self._both(table, symbol, interval, run_ms)
                differing = {row for row in rows if ours.get(row) != theirs.get(row)}
                if differing and left:
                    self._suspects[table, symbol, interval, run_ms] = differing
                elif differing:
                    self._count(symbol, interval, differing, ours, theirs)

    def _count(
        self, symbol: str, interval: str, rows: set[Row], ours: Mapping[Row, bytes], theirs: Mapping[Row, bytes]
    ) -> None:
        for row in sorted(rows):
            prefix = symbol, interval, row[1]
            self.unequal.add(prefix)
            (partition,) = partitions_of(self.stream, prefix, Window(row[0], row[0] + 1))
            key = key_of(self.stream, ours.get(row) or theirs[row])
            self.result.unequal_buckets += 1
            self.result.count(Difference(self.stream, partition, key, ours.get(row), theirs.get(row)))

    def _compare(self, window: Window, found: Firsts, *, ended_in: bool = False) -> None:
        """Compare the rows of windows that lie in `window`, or with `ended_in` those that end in it."""
        newest = now_ms()
        runs: defaultdict[tuple[str, str, str, int], dict[str, Window]] = defaultdict(dict)
        for (symbol, interval, kind), first in found.items():
            length = self._lengths[interval]
            reach = RUN_WINDOWS * length
            end = min(window.end, newest) - length + 1
            start = max(first, window.start - (length - 1 if ended_in else 0))
            # What windows are compared with must not have expired.
            if self._least_ms:
                start = max(start, run_start(self._least_ms, length) + 2 * reach)
            source = next(one for one in self._sources if kind in KINDS[one.table])
            for run_ms in range(run_start(start, length), end, reach) if start < end else ():
                runs[source.table, symbol, interval, run_ms][kind] = Window(start, end)
        for (table, symbol, interval, run_ms), windows in sorted(runs.items()):
            self._compare_run(table, symbol, interval, run_ms, windows)

    def _compare_run(self, table: str, symbol: str, interval: str, run_ms: int, windows: Mapping[str, Window]) -> None:
        """Compare the rows of one run that lie in the `windows` of their kinds."""
        ours, theirs = self._both(table, symbol, interval, run_ms)
        rows = {(at, kind) for at, kind in ours.keys() | theirs.keys() if kind in windows and at in windows[kind]}
        self.result.rows += sum(row in ours for row in rows)
        self.result.buckets += 1
        differing = {row for row in rows if ours.get(row) != theirs.get(row)}
        if differing:
            self._suspects[table, symbol, interval, run_ms] |= differing

    def _both(self, table: str, symbol: str, interval: str, run_ms: int) -> tuple[dict[Row, bytes], dict[Row, bytes]]:
        """Return the computed and the stored rows of one run, without the newest window: it may not be over."""
        source = by_table(table)
        length = self._lengths[interval]
        end = run_ms + RUN_WINDOWS * length
        windows = self._facts(source, symbol, interval, Window(run_ms - RUN_WINDOWS * length, end))
        ours = lines_of(source, symbol, interval, length, run_ms, windows)
        theirs = self._stored(source, symbol, interval, Window(run_ms, end))
        newest = max(windows, default=end)
        if newest >= run_ms and not self._goes_on(source, symbol, interval, end):
            ours = {row: line for row, line in ours.items() if row[0] != newest}
            theirs = {row: line for row, line in theirs.items() if row[0] != newest}
        return ours, theirs

    def _facts(self, source: Stream, symbol: str, interval: str, window: Window) -> dict[int, Facts]:
        return facts(
            source, self._lines(source, (symbol, interval)[: len(source.partition)], window), self._lengths[interval]
        )

    def _goes_on(self, source: Stream, symbol: str, interval: str, since_ms: int) -> bool:
        """Return whether there is a window from `since_ms` on."""
        now = now_ms() + AHEAD_MS
        if since_ms >= now:
            return False
        prefix = (symbol, interval)[: len(source.partition)]
        return next(self._lines(source, prefix, Window(since_ms, now)), None) is not None

    def _stored(self, source: Stream, symbol: str, interval: str, window: Window) -> dict[Row, bytes]:
        return {
            (time_of(self.stream, key_of(self.stream, line)), kind): line
            for kind in KINDS[source.table]
            for line in self._lines(self.stream, (symbol, interval, kind), window)
        }

    def _lines(self, stream: Stream, prefix: tuple[str, ...], window: Window) -> Iterator[bytes]:
        rows = 0
        for _, lines in self._cassandra.read(stream, partitions_of(stream, prefix, window), window):
            for line in lines:
                rows += 1
                yield line
        self._paced(rows)
