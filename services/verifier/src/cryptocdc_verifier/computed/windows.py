"""Proves what is computed of windows of trades: each closed window is computed again from the stored trades."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.windows import Partition, Window, partitions_of
from cryptocdc_verifier.comparing.canonical import Key, key_of, time_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.tables import ROUNDS, Difference, TableResult
from cryptocdc_verifier.computed.firsts import Firsts, firsts
from cryptocdc_verifier.recompute.bars import Compute, Fold, Trade, add, computed, trade_of

HOUR_MS = 3_600_000
OPEN_WINDOWS = 2_000
"""Windows of an interval that are computed before they are compared: each takes about a kilobyte."""
PACED_ROWS = 1_000


class WindowsComparison:
    """Compares one table of windows of one feed; `result` is final after `settle`."""

    def __init__(
        self,
        stream: Stream,
        lengths: Mapping[str, int],
        compute: Compute,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        paced: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`lengths` in milliseconds, by the text in the feed; `wait` returns once the stored rows have all trades of
        before and what was computed of them; `paced` is called with the number of rows read and may delay."""
        self.stream = stream
        self.result = TableResult(computed=True)
        self.unequal: set[tuple[str, ...]] = set()
        self._lengths = lengths
        self._compute = compute
        self._chunk_ms = math.lcm(HOUR_MS, *self._lengths.values())
        self._cassandra = cassandra
        self._wait = wait
        self._paced = paced
        self._suspects: dict[tuple[str, ...], set[int]] = {}
        """Open times of windows that seem to differ, by symbol and interval."""

    def compare(self, window: Window) -> None:
        """Compare the windows that lie in `window`. All that was captured before must have been written."""
        found, chunks = self.firsts(), self._chunks()
        for symbol in sorted({symbol for symbol, _ in found}):
            for chunk in chunks[symbol]:
                part = Window(chunk, chunk + self._chunk_ms).meet(window)
                if part is not None:
                    self._compare(symbol, dict.fromkeys(self._lengths, part), found)

    def compare_closed(self, closing: Window, found: Firsts) -> None:
        """Compare the windows that end after the start of `closing` and no later than its end, of the symbols and
        intervals in `found`, which is from `firsts`."""
        parts = {
            interval: Window(closing.start - closing.start % length, closing.end)
            for interval, length in self._lengths.items()
        }
        for symbol in sorted({symbol for symbol, _ in found}):
            self._compare(symbol, parts, found)

    def firsts(self, since_ms: int | None = None, known: Firsts | None = None) -> Firsts:
        """Return since when rows must be there, by symbol and interval."""
        intervals = {(interval,) for interval in self._lengths}
        return firsts(self._cassandra, RECENT_TRADES, self.stream, intervals, since_ms, known)

    def settle(self) -> None:
        """Compute the windows that seem to differ again, ROUNDS times, and count those that still do."""
        for left in reversed(range(ROUNDS)):
            suspects, self._suspects = self._suspects, {}
            if not suspects:
                return
            self._wait()
            for (symbol, interval), opened in suspects.items():
                length = self._lengths[interval]
                for open_ms in sorted(opened):
                    window = Window(open_ms, open_ms + length)
                    self._differing(symbol, interval, window, last=left == 0)

    def _compare(self, symbol: str, parts: Mapping[str, Window], found: Firsts) -> None:
        """Compare the windows that lie in each interval's part. The trades are read once for all intervals, an hour at
        a time, and never kept."""
        whole: dict[str, Window] = {}
        for interval, part in parts.items():
            length, end = self._lengths[interval], part.end - part.end % self._lengths[interval]
            start = -(-max(part.start, found.get((symbol, interval), end)) // length) * length
            if start < end:
                whole[interval] = Window(start, end)
        if not whole:
            return
        folds: dict[str, dict[int, Fold]] = {interval: {} for interval in whole}
        since = {interval: window.start for interval, window in whole.items()}
        bounds = Window(min(since.values()), max(window.end for window in whole.values()))
        for hour in range(bounds.start - bounds.start % HOUR_MS, bounds.end, HOUR_MS):
            part = Window(max(hour, bounds.start), min(hour + HOUR_MS, bounds.end))
            for trade in self._trades(symbol, part):
                for interval, window in whole.items():
                    if trade.at_ms in window:
                        add(folds[interval], self._compute, self._lengths[interval], trade)
            for interval, window in whole.items():
                end = min(part.end - part.end % self._lengths[interval], window.end)
                last = end == window.end
                if since[interval] < end and (last or len(folds[interval]) > OPEN_WINDOWS):
                    done = [at for at in folds[interval] if at < end]
                    lines = {at: folds[interval].pop(at).line(symbol, interval) for at in done}
                    self._check(symbol, interval, Window(since[interval], end), lines)
                    since[interval] = end

    def _check(self, symbol: str, interval: str, window: Window, expected: Mapping[int, bytes]) -> None:
        """Suspect the windows whose stored rows are not the `expected` lines, by open time."""
        self.result.rows += len(expected)
        for partition in partitions_of(self.stream, (symbol, interval), window):
            stored = self._stored(partition, window)
            self.result.buckets += 1
            ours = {at: line for at, line in expected.items() if at in partition.window(self.stream)}
            differ = {at for at in ours.keys() | stored.keys() if ours.get(at) != stored.get(at)}
            if differ:
                self._suspects.setdefault((symbol, interval), set()).update(differ)

    def _differing(self, symbol: str, interval: str, window: Window, *, last: bool) -> None:
        """Compute one window again: clear it, suspect it again, or in the `last` round count it as different."""
        (partition,) = partitions_of(self.stream, (symbol, interval), Window(window.start, window.start + 1))
        theirs = self._stored(partition, window).get(window.start)
        length = window.end - window.start
        ours = computed(self._compute, symbol, interval, length, self._trades(symbol, window)).get(window.start)
        if ours == theirs:
            return
        if not last:
            self._suspects.setdefault((symbol, interval), set()).add(window.start)
            return
        key: Key = key_of(self.stream, ours or theirs or b"")
        self.unequal.add((symbol, interval))
        self.result.unequal_buckets += 1
        self.result.count(Difference(self.stream, partition, key, ours, theirs))

    def _stored(self, partition: Partition, window: Window) -> dict[int, bytes]:
        found = {}
        for _, lines in self._cassandra.read(self.stream, [partition], window):
            for line in lines:
                found[time_of(self.stream, key_of(self.stream, line))] = line
        return found

    def _trades(self, symbol: str, window: Window) -> Iterator[Trade]:
        rows = 0
        for _, lines in self._cassandra.read(RECENT_TRADES, partitions_of(RECENT_TRADES, (symbol,), window), window):
            for line in lines:
                rows += 1
                if rows % PACED_ROWS == 0:
                    self._paced(PACED_ROWS)
                trade = trade_of(line)
                if trade is not None:
                    yield trade
        self._paced(rows % PACED_ROWS)

    def _chunks(self) -> dict[str, list[int]]:
        """Return the starts of the chunks of time in which a symbol has trades or rows."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        for stream in (RECENT_TRADES, self.stream):
            for partition in self._cassandra.partitions(stream):
                span = partition.window(stream)
                start = span.start // self._chunk_ms * self._chunk_ms
                found[partition.prefix[0]].update(range(start, span.end, self._chunk_ms))
        return {symbol: sorted(starts) for symbol, starts in found.items()}
