"""Proves the tables of models, whose rows are made of runs of windows: each is computed again from stored rows of other
computed tables, which are proven themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.windows import Window, partitions_of
from cryptocdc_core.time.times import now_ms
from cryptocdc_verifier.comparing.canonical import key_of, time_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.tables import ROUNDS, Difference, TableResult
from cryptocdc_verifier.computed.firsts import Firsts, firsts
from cryptocdc_verifier.recompute import anomalies, forecasts

AHEAD_MS = 60_000
"""How far in the future a row may be: clocks differ."""

Row = tuple[int, str]
"""Open time and kind."""


class Model(NamedTuple):
    """How rows of a table are computed."""

    kinds: tuple[str, ...]
    """The kinds of the rows; one empty text if the table has none."""
    sources: tuple[Stream, ...]
    """The tables whose rows they are made of."""
    run_windows: int
    """A run of windows begins at each multiple of this many lengths since 1970."""
    runs_before: int
    """A row depends on its own run, and on that many before."""
    compute: Callable[[str, str, int, int, Sequence[Iterable[bytes]]], tuple[dict[Row, bytes], int | None]]
    """Returns the lines of the rows of a run, and the newest window, given symbol, interval, length and start of the
    run in milliseconds, and for each source its lines of this run and those before."""


class RunsComparison:
    """Compares one table of one feed; `result` is final after `settle`."""

    def __init__(
        self,
        stream: Stream,
        models: Sequence[Model],
        lengths: Mapping[str, int],
        least_ms: int,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        paced: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`lengths` in milliseconds, by the text in the feed; `least_ms`: rows of before may have expired; `wait` and
        `paced` as in WindowsComparison."""
        self.stream = stream
        self.result = TableResult(computed=True)
        self.unequal: set[tuple[str, ...]] = set()
        self._models = models
        self._lengths = lengths
        self._least_ms = least_ms
        self._cassandra = cassandra
        self._wait = wait
        self._paced = paced
        self._suspects: defaultdict[tuple[Model, str, str, int], set[Row]] = defaultdict(set)
        """Rows that seem to differ, by symbol, interval and the start of their run."""

    def compare(self, window: Window) -> None:
        """Compare the windows that lie in `window`. All that was captured before must have been written."""
        self._compare(window, self.firsts())

    def compare_closed(self, closing: Window, found: Firsts) -> None:
        """As WindowsComparison.compare_closed."""
        self._compare(closing, found, ended_in=True)

    def firsts(self, since_ms: int | None = None, known: Firsts | None = None) -> Firsts:
        """Return since when rows must be there, by symbol, interval and kind if there are kinds."""
        compared = {
            (interval, kind)[: len(self.stream.partition) - 1]
            for interval in self._lengths
            for model in self._models
            for kind in model.kinds
        }
        return firsts(self._cassandra, RECENT_TRADES, self.stream, compared, since_ms, known)

    def settle(self) -> None:
        """Compute the rows that seem to differ again, ROUNDS times, and count those that still do."""
        for left in reversed(range(ROUNDS)):
            suspects, self._suspects = self._suspects, defaultdict(set)
            if not suspects:
                return
            self._wait()
            for (model, symbol, interval, run_ms), rows in suspects.items():
                ours, theirs = self._both(model, symbol, interval, run_ms)
                differing = {row for row in rows if ours.get(row) != theirs.get(row)}
                if differing and left:
                    self._suspects[model, symbol, interval, run_ms] = differing
                elif differing:
                    self._count(symbol, interval, differing, ours, theirs)

    def _count(
        self, symbol: str, interval: str, rows: set[Row], ours: Mapping[Row, bytes], theirs: Mapping[Row, bytes]
    ) -> None:
        for row in sorted(rows):
            prefix = self._prefix(symbol, interval, row[1])
            self.unequal.add(prefix)
            (partition,) = partitions_of(self.stream, prefix, Window(row[0], row[0] + 1))
            key = key_of(self.stream, ours.get(row) or theirs[row])
            self.result.unequal_buckets += 1
            self.result.count(Difference(self.stream, partition, key, ours.get(row), theirs.get(row)))

    def _compare(self, window: Window, found: Firsts, *, ended_in: bool = False) -> None:
        """Compare the rows of windows that lie in `window`, or with `ended_in` those that end in it."""
        newest = now_ms()
        runs: defaultdict[tuple[Model, str, str, int], dict[str, Window]] = defaultdict(dict)
        for (symbol, interval, *rest), first in found.items():
            kind = "".join(rest)
            model = next(one for one in self._models if kind in one.kinds)
            length = self._lengths[interval]
            reach = model.run_windows * length
            end = min(window.end, newest) - length + 1
            start = max(first, window.start - (length - 1 if ended_in else 0))
            # What rows depend on must not have expired.
            if self._least_ms:
                start = max(start, self._least_ms - self._least_ms % reach + (model.runs_before + 1) * reach)
            for run_ms in range(start - start % reach, end, reach) if start < end else ():
                runs[model, symbol, interval, run_ms][kind] = Window(start, end)
        for (model, symbol, interval, run_ms), windows in sorted(runs.items(), key=lambda one: one[0][1:]):
            self._compare_run(model, symbol, interval, run_ms, windows)

    def _compare_run(
        self, model: Model, symbol: str, interval: str, run_ms: int, windows: Mapping[str, Window]
    ) -> None:
        """Compare the rows of one run that lie in the `windows` of their kinds."""
        ours, theirs = self._both(model, symbol, interval, run_ms)
        rows = {(at, kind) for at, kind in ours.keys() | theirs.keys() if kind in windows and at in windows[kind]}
        self.result.rows += sum(row in ours for row in rows)
        self.result.buckets += 1
        differing = {row for row in rows if ours.get(row) != theirs.get(row)}
        if differing:
            self._suspects[model, symbol, interval, run_ms] |= differing

    def _both(self, model: Model, symbol: str, interval: str, run_ms: int) -> tuple[dict[Row, bytes], dict[Row, bytes]]:
        """Return the computed and the stored rows of one run, without the newest window: it may not be over."""
        length = self._lengths[interval]
        reach = model.run_windows * length
        run, known = Window(run_ms, run_ms + reach), Window(run_ms - model.runs_before * reach, run_ms + reach)
        stored = [self._lines(source, (symbol, interval), known) for source in model.sources]
        ours, newest = model.compute(symbol, interval, length, run_ms, stored)
        theirs = {
            (time_of(self.stream, key_of(self.stream, line)), kind): line
            for kind in model.kinds
            for line in self._lines(self.stream, self._prefix(symbol, interval, kind), run)
        }
        if newest is not None and newest >= run_ms and not self._goes_on(model.sources[0], symbol, interval, run.end):
            ours = {row: line for row, line in ours.items() if row[0] != newest}
            theirs = {row: line for row, line in theirs.items() if row[0] != newest}
        return ours, theirs

    def _prefix(self, symbol: str, interval: str, kind: str) -> tuple[str, ...]:
        return (symbol, interval, kind)[: len(self.stream.partition)]

    def _goes_on(self, source: Stream, symbol: str, interval: str, since_ms: int) -> bool:
        """Return whether there is a window from `since_ms` on."""
        now = now_ms() + AHEAD_MS
        if since_ms >= now:
            return False
        return next(self._lines(source, (symbol, interval), Window(since_ms, now)), None) is not None

    def _lines(self, stream: Stream, prefix: tuple[str, ...], window: Window) -> Iterator[bytes]:
        rows = 0
        prefix = prefix[: len(stream.partition)]
        for _, lines in self._cassandra.read(stream, partitions_of(stream, prefix, window), window):
            for line in lines:
                rows += 1
                yield line
        self._paced(rows)


def anomalies_of(source: Stream) -> Model:
    """Return how the anomalies of one source are computed."""

    def compute(
        symbol: str, interval: str, length_ms: int, run_ms: int, stored: Sequence[Iterable[bytes]]
    ) -> tuple[dict[Row, bytes], int | None]:
        windows = anomalies.facts(source, stored[0], length_ms)
        lines = anomalies.lines_of(source, symbol, interval, length_ms, run_ms, windows)
        return lines, max(windows, default=None)

    return Model(anomalies.KINDS[source.table], (source,), anomalies.RUN_WINDOWS, 1, compute)


def _forecasts(
    symbol: str, interval: str, length_ms: int, run_ms: int, stored: Sequence[Iterable[bytes]]
) -> tuple[dict[Row, bytes], int | None]:
    windows = forecasts.windows_of(*stored)
    lines = forecasts.lines_of(symbol, interval, length_ms, run_ms, windows)
    return lines, max(windows, default=None)


FORECASTS = Model(
    ("",), (forecasts.BARS, forecasts.VOLATILITY), forecasts.RUN_WINDOWS,
    forecasts.RUNS_BEFORE, _forecasts,
)  # fmt: skip
"""How forecasts are computed."""
