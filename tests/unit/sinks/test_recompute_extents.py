"""Which windows of a range are recomputed, and which stored rows are read for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_analyzer.windows.series import Series, Span
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.program.exits import BadInput
from cryptocdc_spark.recompute.extents import Extent, Range, extents, refuse_unknown, spans_of

HOUR_MS = 3_600_000
NOON_MS = 1_790_000_000_000 - 1_790_000_000_000 % (24 * HOUR_MS) + 12 * HOUR_MS
RUN_MS = 60 * 5_000


def analytics(**given: object) -> Analytics:
    return Analytics.model_validate(given)


def test_only_windows_that_lie_in_the_range_are_written() -> None:
    made = extents(analytics(bars=["5s", "1m"]), Range(NOON_MS + 1, NOON_MS + 120_000))
    assert made.windows == {
        Series("bars", "5s"): Extent(5_000, *[Range(NOON_MS + 5_000, NOON_MS + 120_000)] * 2),
        Series("bars", "1m"): Extent(60_000, *[Range(NOON_MS + 60_000, NOON_MS + 120_000)] * 2),
    }
    assert made.sources == [RECENT_TRADES]
    assert made.source(RECENT_TRADES) == Range(NOON_MS + 5_000, NOON_MS + 120_000)


def test_an_interval_without_a_whole_window_in_the_range_is_left_out() -> None:
    made = extents(analytics(bars=["5s"], volatility=["1h"]), Range(NOON_MS + 5_000, NOON_MS + 65_000))
    assert [series.table for series in made.windows] == ["bars"]


def test_anomalies_need_the_run_before_and_a_run_after_the_range() -> None:
    made = extents(analytics(bars=["5s"], bookMetrics=True, anomalies=["5s"]), Range(NOON_MS + 5_000, NOON_MS + 65_000))
    written = Range(NOON_MS + 5_000, NOON_MS + 65_000)
    computed = Range(NOON_MS - RUN_MS, NOON_MS + 65_000 + RUN_MS)
    assert made.anomalies == {"5s": Extent(5_000, written, computed)}
    assert made.windows == {Series("bars", "5s"): Extent(5_000, written, computed)}
    assert (made.books, made.source(ORDER_BOOK)) == (written, computed)


def test_forecasts_need_two_runs_before_and_one_after_the_range_of_both_bars_and_volatility() -> None:
    run_ms = 120 * 3_000
    start = NOON_MS - NOON_MS % run_ms
    written = Range(start + 3_000, start + 63_000)
    made = extents(analytics(bars=["3s"], volatility=["3s"], forecasts=["3s"]), written)
    computed = Range(start - 2 * run_ms, start + 63_000 + run_ms)
    assert made.forecasts == {"3s": Extent(3_000, written, computed)}
    for table in ("bars", "realized_volatility"):
        assert made.windows[Series(table, "3s")] == Extent(3_000, written, computed)


def test_windows_whose_rows_or_past_may_have_expired_are_left_out() -> None:
    made = extents(
        analytics(bars=["5s"], bookMetrics=True, anomalies=["5s"]), Range(0, NOON_MS + 2 * HOUR_MS), NOON_MS + 1
    )
    assert made.windows[Series("bars", "5s")].written.start_ms == NOON_MS + 5_000
    assert made.anomalies["5s"].written.start_ms == NOON_MS + 2 * RUN_MS
    assert made.anomalies["5s"].computed.start_ms == NOON_MS + RUN_MS
    assert made.books == Range(NOON_MS + 1, NOON_MS + 2 * HOUR_MS)


@given(
    st.integers(0, 4_000_000), st.integers(1, 4_000_000), st.none() | st.integers(0, 4_000_000),
    st.sampled_from(["3s", "15s", "1m"]),
)  # fmt: skip
def test_each_written_window_lies_in_the_range_and_its_past_is_computed_and_not_expired(
    start: int, length: int, least: int | None, interval: str
) -> None:
    wanted = Range(NOON_MS + start, NOON_MS + start + length)
    least_ms = 0 if least is None else NOON_MS + least
    try:
        one = [interval]
        given = analytics(bars=one, volatility=one, bookMetrics=True, anomalies=one, forecasts=one)
        made = extents(given, wanted, least_ms)
    except BadInput:
        return
    for extent in (*made.windows.values(), *made.anomalies.values(), *made.forecasts.values()):
        assert wanted.start_ms <= extent.written.start_ms < extent.written.end_ms <= wanted.end_ms
        assert extent.written.start_ms % extent.length_ms == extent.written.end_ms % extent.length_ms == 0
        assert extent.computed.start_ms <= extent.written.start_ms
        assert extent.computed.start_ms >= least_ms
    for extent in made.anomalies.values():
        reach = 60 * extent.length_ms
        assert extent.computed.start_ms <= extent.written.start_ms // reach * reach - reach
    for extent in made.forecasts.values():
        reach = 120 * extent.length_ms
        assert extent.computed.start_ms <= extent.written.start_ms // reach * reach - 2 * reach


def test_a_range_that_is_empty_has_no_whole_window_or_has_expired_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^--to: .*accepted: a time after --from"):
        extents(analytics(bars=["5s"]), Range(NOON_MS, NOON_MS))
    with pytest.raises(BadInput, match=r"accepted: a range with a whole window of the feed$"):
        extents(analytics(bars=["1h"]), Range(NOON_MS + 1, NOON_MS + HOUR_MS))
    with pytest.raises(BadInput, match=r"a whole window of the feed after .*, from which on rows are kept"):
        extents(analytics(bars=["1h"], bookMetrics=True), Range(0, NOON_MS), NOON_MS)


def test_of_all_partitions_only_those_with_rows_of_the_range_and_the_symbols_are_read() -> None:
    partitions = [(symbol, NOON_MS + hour * HOUR_MS) for hour in range(-2, 3) for symbol in ("B", "A", "C")]
    rows = Range(NOON_MS - 10, NOON_MS + HOUR_MS)
    wanted = spans_of(partitions, RECENT_TRADES, rows, ["A", "B"])
    assert wanted == [
        Span(symbol, *part) for symbol in ("A", "B") for part in ((NOON_MS - 10, NOON_MS), (NOON_MS, NOON_MS + HOUR_MS))
    ]
    assert {span.symbol for span in spans_of(partitions, RECENT_TRADES, rows, [])} == {"A", "B", "C"}
    assert spans_of(partitions, RECENT_TRADES, Range(0, 10), []) == []


def test_a_symbol_without_stored_rows_is_refused_with_those_that_have_some() -> None:
    refuse_unknown(["A"], {"A", "B"})
    with pytest.raises(BadInput, match=r"^--symbol: X, Y is not accepted; accepted: A, B$"):
        refuse_unknown(["A", "X", "Y"], {"B", "A"})
    with pytest.raises(BadInput, match="accepted: none: there are no stored rows"):
        refuse_unknown(["A"], set())
    with pytest.raises(BadInput, match=r"S19 and 5 more$"):
        refuse_unknown(["A"], {f"S{n:02}" for n in range(25)})
