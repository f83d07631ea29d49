"""What is common to the proofs of computed tables: each row is computed again from stored ones and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from cryptocdc_core.catalogue import Stream
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.compare import TableResult
from cryptocdc_verifier.computed_bars import BarsComparison
from cryptocdc_verifier.computed_books import BooksComparison
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
    makers: dict[str, Callable[[], ComputedComparison]] = {
        "bars": lambda: BarsComparison(target, cassandra, wait, paced),
        "book_metrics": lambda: BooksComparison(cassandra, wait, paced),
    }
    return [makers[stream.table]() for stream in target.computed]


def closed(window: Window, now_ms: int) -> Window:
    """Return the part of `window` whose rows can be proven at `now_ms`; it may be empty."""
    end = min(window.end, now_ms - CLOSED_AFTER_MS)
    return Window(min(window.start, end), end)
