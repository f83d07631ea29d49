"""Proves what is computed of windows of trades: each closed window is computed again from the stored trades."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_verifier.canonical import Key, key_of, time_of
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.compare import ROUNDS, Difference, TableResult
from cryptocdc_verifier.recompute import Trade, trade_of
from cryptocdc_verifier.window import Partition, Window, partitions_of

HOUR_MS = 3_600_000
Firsts = dict[tuple[str, str], int]
"""The open time of the first window that must be there, by symbol and interval, in milliseconds since the epoch."""


Compute = Callable[[str, str, int, Iterable[Trade]], dict[int, bytes]]
"""Returns the line of each window by its open time, given symbol, interval, length in milliseconds, and all trades of
these windows."""


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
        self._lengths = lengths
        self._compute = compute
        self._chunk_ms = math.lcm(HOUR_MS, *self._lengths.values())
        self._cassandra = cassandra
        self._wait = wait
        self._paced = paced
        self._suspects: dict[tuple[str, str], set[int]] = {}
        """Open times of windows that seem to differ, by symbol and interval."""

    def compare(self, window: Window) -> None:
        """Compare the windows that lie in `window`. All that was captured before must have been written."""
        firsts, chunks = self.firsts(), self._chunks()
        for symbol in sorted({symbol for symbol, _ in firsts}):
            for chunk in chunks[symbol]:
                part = Window(chunk, chunk + self._chunk_ms).meet(window)
                if part is not None:
                    self._compare(symbol, part, firsts, self._lengths)

    def compare_closed(self, since_ms: int, end_ms: int, firsts: Firsts) -> None:
        """Compare the windows that end after `since_ms` and no later than `end_ms`; `firsts` is from that method."""
        for interval, length in self._lengths.items():
            window = Window(since_ms // length * length, end_ms // length * length)
            for symbol in sorted({symbol for symbol, _ in firsts}):
                for start in range(window.start, window.end, self._chunk_ms):
                    part = Window(start, min(start + self._chunk_ms, window.end))
                    self._compare(symbol, part, firsts, {interval: length})

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

    def _compare(self, symbol: str, part: Window, first: Firsts, lengths: Mapping[str, int]) -> None:
        trades = list(self._trades(symbol, part))
        self._paced(len(trades))
        for interval, length in lengths.items():
            start = max(part.start, first.get((symbol, interval), part.end))
            whole = Window(-(-start // length) * length, part.end // length * length)
            if whole.start >= whole.end:
                continue
            expected = self._compute(symbol, interval, length, (t for t in trades if t.at_ms in whole))
            self.result.rows += len(expected)
            for partition in partitions_of(self.stream, (symbol, interval), whole):
                stored = self._stored(partition, whole)
                self.result.buckets += 1
                ours = {at: line for at, line in expected.items() if at in partition.window(self.stream)}
                differ = {at for at in ours.keys() | stored.keys() if ours.get(at) != stored.get(at)}
                if differ:
                    self._suspects.setdefault((symbol, interval), set()).update(differ)

    def _differing(self, symbol: str, interval: str, window: Window, *, last: bool) -> None:
        """Compute one window again: clear it, suspect it again, or in the `last` round count it as different."""
        (partition,) = partitions_of(self.stream, (symbol, interval), Window(window.start, window.start + 1))
        theirs = self._stored(partition, window).get(window.start)
        found = self._compute(symbol, interval, window.end - window.start, self._trades(symbol, window))
        ours = found.get(window.start)
        if ours == theirs:
            return
        if not last:
            self._suspects.setdefault((symbol, interval), set()).add(window.start)
            return
        key: Key = key_of(self.stream, ours or theirs or b"")
        self.result.unequal_buckets += 1
        self.result.count(Difference(self.stream, partition, key, ours, theirs))

    def _stored(self, partition: Partition, window: Window) -> dict[int, bytes]:
        found = {}
        for _, lines in self._cassandra.read(self.stream, [partition], window):
            for line in lines:
                found[time_of(self.stream, key_of(self.stream, line))] = line
        return found

    def _trades(self, symbol: str, window: Window) -> Iterator[Trade]:
        for _, lines in self._cassandra.read(RECENT_TRADES, partitions_of(RECENT_TRADES, (symbol,), window), window):
            for line in lines:
                trade = trade_of(line)
                if trade is not None:
                    yield trade

    def _chunks(self) -> dict[str, list[int]]:
        """Return the starts of the chunks of time in which a symbol has trades or rows."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        for stream in (RECENT_TRADES, self.stream):
            for partition in self._cassandra.partitions(stream):
                span = partition.window(stream)
                start = span.start // self._chunk_ms * self._chunk_ms
                found[partition.prefix[0]].update(range(start, span.end, self._chunk_ms))
        return {symbol: sorted(starts) for symbol, starts in found.items()}

    def firsts(self) -> Firsts:
        """Return since when rows must be there, by symbol and interval: from the first one on, as the analyzer starts
        with what Kafka still has; where there is none, from the newest hour with trades on."""
        newest: dict[str, int] = {}
        for partition in self._cassandra.partitions(RECENT_TRADES):
            symbol = partition.prefix[0]
            newest[symbol] = max(newest.get(symbol, 0), partition.bucket)
        found = {(symbol, interval): at for symbol, at in newest.items() for interval in self._lengths}
        oldest: dict[tuple[str, str], Partition] = {}
        for partition in self._cassandra.partitions(self.stream):
            symbol, interval = partition.prefix
            if interval in self._lengths:
                before = oldest.get((symbol, interval), partition)
                oldest[symbol, interval] = min(before, partition, key=lambda one: one.bucket)
        for of, partition in oldest.items():
            opened = self._stored(partition, partition.window(self.stream))
            if opened:
                found[of] = min(opened)
        return found
