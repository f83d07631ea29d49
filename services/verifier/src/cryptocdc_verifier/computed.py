"""What is common to the proofs of computed tables: each row is computed again from stored ones and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptocdc_core.catalogue import Stream
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.compare import TableResult
from cryptocdc_verifier.computed_books import BooksComparison
from cryptocdc_verifier.computed_windows import Compute, WindowsComparison
from cryptocdc_verifier.recompute import BARS, bars
from cryptocdc_verifier.recompute_books import BOOK_METRICS
from cryptocdc_verifier.recompute_volatility import VOLATILITY, volatility
from cryptocdc_verifier.target import Target
from cryptocdc_verifier.window import Window

CLOSED_AFTER_MS = 30_000
"""A window counts as closed this long after its end: the analyzer's lateness. Later rows correct it as well."""


class ComputedComparison(Protocol):
    """Compares one computed table; `result` is final after `settle`."""

    stream: Stream
    result: TableResult

    def compare(self, window: Window) -> None:
        """Compare everything in `window`."""
        ...

    def firsts(self) -> Any:
        """Return the first rows that must be there, which takes reading all partitions."""
        ...

    def compare_closed(self, since_ms: int, end_ms: int, firsts: Any) -> None:
        """Compare what closed after `since_ms` and no later than `end_ms`."""
        ...

    def settle(self) -> None: ...


def comparisons(
    target: Target, cassandra: CassandraSide, wait: Callable[[], None], paced: Callable[[int], None] = lambda _: None
) -> list[ComputedComparison]:
    """Return one comparison for each computed table. `wait` returns once the stored rows have everything of before and
    what was computed of it; `paced` is called with the number of rows read and may delay."""
    analytics = target.feed.spec.analytics
    assert analytics is not None

    def windows(stream: Stream, lengths: Mapping[str, int], compute: Compute) -> ComputedComparison:
        return WindowsComparison(stream, lengths, compute, cassandra, wait, paced)

    makers: dict[str, Callable[[], ComputedComparison]] = {
        BARS.table: lambda: windows(BARS, analytics.bar_lengths, bars),
        VOLATILITY.table: lambda: windows(VOLATILITY, analytics.volatility_lengths, volatility),
        BOOK_METRICS.table: lambda: BooksComparison(cassandra, wait, paced),
    }
    return [makers[stream.table]() for stream in target.computed]


def closed(window: Window, now_ms: int) -> Window:
    """Return the part of `window` whose rows can be proven at `now_ms`; it may be empty."""
    end = min(window.end, now_ms - CLOSED_AFTER_MS)
    return Window(min(window.start, end), end)
