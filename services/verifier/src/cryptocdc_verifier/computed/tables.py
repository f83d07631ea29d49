"""What is common to the proofs of computed tables: each row is computed again from stored ones and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.storage.windows import Window
from cryptocdc_core.time.times import now_ms
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.tables import TableResult
from cryptocdc_verifier.computed.books import BooksComparison
from cryptocdc_verifier.computed.firsts import Firsts
from cryptocdc_verifier.computed.runs import FORECASTS as FORECASTING
from cryptocdc_verifier.computed.runs import Model, RunsComparison, anomalies_of
from cryptocdc_verifier.computed.windows import WindowsComparison
from cryptocdc_verifier.recompute.anomalies import ANOMALIES
from cryptocdc_verifier.recompute.bars import BARS, BarFold, Compute
from cryptocdc_verifier.recompute.books import BOOK_METRICS
from cryptocdc_verifier.recompute.forecasts import FORECASTS
from cryptocdc_verifier.recompute.volatility import VOLATILITY, VolatilityFold
from cryptocdc_verifier.target import Target, window_of

CLOSED_AFTER_MS = 30_000
"""A window counts as closed this long after its end: the analyzer's lateness. Later rows correct it as well."""


class ComputedComparison(Protocol):
    """Compares one computed table; `result` is final after `settle`."""

    stream: Stream
    result: TableResult
    unequal: set[tuple[str, ...]]
    """The symbols, or symbols and intervals, with a difference."""

    def compare(self, window: Window) -> None:
        """Compare everything in `window`."""
        ...

    def firsts(self, since_ms: int | None = None, known: Firsts | None = None) -> Firsts:
        """Return since when rows must be there, as `firsts.firsts` does, which reads the keys of all partitions."""
        ...

    def compare_closed(self, closing: Window, found: Firsts) -> None:
        """Compare what closed after the start of `closing` and no later than its end, of those in `found`."""
        ...

    def settle(self) -> None: ...


def comparison_of(
    stream: Stream,
    target: Target,
    cassandra: CassandraSide,
    wait: Callable[[], None],
    paced: Callable[[int], None] = lambda _: None,
) -> ComputedComparison:
    """Return a comparison of a computed table. `wait` returns once the stored rows have everything of before and what
    was computed of it; `paced` is called with the number of rows read and may delay."""
    analytics = target.feed.spec.analytics
    assert analytics is not None

    def windows(stream: Stream, lengths: Mapping[str, int], compute: Compute) -> ComputedComparison:
        return WindowsComparison(stream, lengths, compute, cassandra, wait, paced)

    def runs(stream: Stream, models: Sequence[Model], lengths: Mapping[str, int]) -> ComputedComparison:
        least_ms = window_of(target, now_ms(), None, None).start
        return RunsComparison(stream, models, lengths, least_ms, cassandra, wait, paced)

    def anomalies() -> ComputedComparison:
        models = [anomalies_of(BARS), *([anomalies_of(BOOK_METRICS)] if analytics.book_metrics else [])]
        return runs(ANOMALIES, models, analytics.anomaly_lengths)

    makers: dict[str, Callable[[], ComputedComparison]] = {
        BARS.table: lambda: windows(BARS, analytics.bar_lengths, BarFold),
        VOLATILITY.table: lambda: windows(VOLATILITY, analytics.volatility_lengths, VolatilityFold),
        BOOK_METRICS.table: lambda: BooksComparison(cassandra, wait, paced),
        ANOMALIES.table: anomalies,
        FORECASTS.table: lambda: runs(FORECASTS, [FORECASTING], analytics.forecast_lengths),
    }
    return makers[stream.table]()


def closed(window: Window, now_ms: int) -> Window:
    """Return the part of `window` whose rows can be proven at `now_ms`; it may be empty."""
    end = min(window.end, now_ms - CLOSED_AFTER_MS)
    return Window(min(window.start, end), end)
