"""Proves the figures of order books: each is computed again from the stored order book and compared with its row."""

from __future__ import annotations

from collections.abc import Callable

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_core.storage.windows import Partition, Window, partitions_of
from cryptocdc_verifier.comparing.canonical import key_of, time_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.tables import ROUNDS, Difference, TableResult
from cryptocdc_verifier.computed.firsts import Firsts, firsts
from cryptocdc_verifier.recompute.books import BOOK_METRICS, metrics


class BooksComparison:
    """Compares the figures of one feed's order books; `result` is final after `settle`."""

    def __init__(
        self,
        cassandra: CassandraSide,
        wait: Callable[[], None],
        paced: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`wait` returns once the stored rows have all order books of before and their figures; `paced` is called with
        the number of rows read and may delay."""
        self.stream: Stream = BOOK_METRICS
        self.result = TableResult(computed=True)
        self.unequal: set[tuple[str, ...]] = set()
        self._cassandra = cassandra
        self._wait = wait
        self._paced = paced
        self._suspects: list[tuple[Partition, int]] = []
        """Rows that seem to differ, by time."""

    def compare(self, window: Window) -> None:
        """Compare the rows of `window`. All that was captured before must have been written."""
        found = self.firsts()
        partitions = {*self._cassandra.partitions(ORDER_BOOK), *self._cassandra.partitions(self.stream)}
        self._compare(partitions, window, found)

    def compare_closed(self, closing: Window, found: Firsts) -> None:
        """Compare the rows of `closing` of the symbols in `found`, which is from `firsts`."""
        partitions = {part for symbol in found for part in partitions_of(ORDER_BOOK, symbol, closing)}
        self._compare(partitions, closing, found)

    def firsts(self, since_ms: int | None = None, known: Firsts | None = None) -> Firsts:
        """Return since when rows must be there, by symbol."""
        return firsts(self._cassandra, ORDER_BOOK, self.stream, {()}, since_ms, known)

    def settle(self) -> None:
        """Compute the rows that seem to differ again, ROUNDS times, and count those that still do."""
        for left in reversed(range(ROUNDS)):
            suspects, self._suspects = self._suspects, []
            if not suspects:
                return
            self._wait()
            for partition, at in suspects:
                ours, theirs = self._both(partition, Window(at, at + 1))
                if ours == theirs:
                    continue
                if left:
                    self._suspects.append((partition, at))
                    continue
                key = key_of(self.stream, ours.get(at) or theirs[at])
                self.unequal.add(partition.prefix)
                self.result.unequal_buckets += 1
                self.result.count(Difference(self.stream, partition, key, ours.get(at), theirs.get(at)))

    def _compare(self, partitions: set[Partition], window: Window, found: Firsts) -> None:
        for partition in sorted(partitions):
            first = found.get(partition.prefix)
            part = partition.window(self.stream).meet(window)
            part = part.meet(Window(first, window.end)) if part and first is not None and first < window.end else None
            if part is None:
                continue
            ours, theirs = self._both(partition, part)
            self._paced(len(ours) + len(theirs))
            self.result.rows += len(ours)
            self.result.buckets += 1
            differ = [at for at in ours.keys() | theirs.keys() if ours.get(at) != theirs.get(at)]
            self._suspects += [(partition, at) for at in sorted(differ)]

    def _both(self, partition: Partition, window: Window) -> tuple[dict[int, bytes], dict[int, bytes]]:
        """Return the computed and the stored rows by time."""
        books = self._lines(ORDER_BOOK, partition, window)
        computed = {at: metrics(line) for at, line in books.items()}
        return {at: line for at, line in computed.items() if line}, self._lines(self.stream, partition, window)

    def _lines(self, stream: Stream, partition: Partition, window: Window) -> dict[int, bytes]:
        return {
            time_of(stream, key_of(stream, line)): line
            for _, lines in self._cassandra.read(stream, [partition], window)
            for line in lines
        }
