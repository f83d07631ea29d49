"""The functions that run in Spark's tasks, combined by a plain loop in any split and order: the analyzer's rows."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.trades import START_MS, resolve, trade

from cryptocdc_analyzer.books import StoredBook
from cryptocdc_analyzer.models import forecasts
from cryptocdc_analyzer.models.anomalies import rows
from cryptocdc_analyzer.models.history import Facts
from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_analyzer.windows.series import Added, Key, Windows
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.rows.changes import Decoder
from cryptocdc_spark.recompute import fold
from cryptocdc_spark.recompute.extents import Extent, Range, extents
from cryptocdc_spark.recompute.job import record

WANTED = extents(
    Analytics.model_validate({"bars": ["5s", "1m"], "volatility": ["15s"]}), Range(START_MS, START_MS + 120_000)
)
TRADES = [trade(at, price=str(100 + at % 13), quantity=f"0.{at % 97}") for at in range(0, 120_000, 1_300)]


def combined(parts: list[list[Trade]]) -> dict[Key, Any]:
    """As combineByKey: a content for each part that has trades of a window, then merged."""
    merged: dict[Key, Any] = {}
    for part in parts:
        contents: dict[Key, Any] = {}
        for one in part:
            for key, placed in fold.placed(WANTED.windows, one):
                contents[key] = fold.add(contents[key], placed) if key in contents else fold.begin(placed)
        for key, content in contents.items():
            merged[key] = fold.merge(merged[key], content) if key in merged else content
    return merged


@given(st.integers(0, 1 << 30), st.integers(1, 7))
def test_windows_of_trades_in_any_split_and_order_have_the_analyzers_rows(seed: int, count: int) -> None:
    shuffled = random.Random(seed).sample(TRADES, len(TRADES))
    found = [
        row for item in combined([shuffled[at::count] for at in range(count)]).items()
        for row in fold.window_row(WANTED.windows, item)
    ]  # fmt: skip
    windows = Windows({series: extent.length_ms for series, extent in WANTED.windows.items()}, START_MS - 120_000)
    for one in TRADES:
        windows.add(one, Added())
    resolve(windows)
    expected = [row for _, row, _ in windows.take()]
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_windows_outside_of_the_range_are_not_computed() -> None:
    assert not list(fold.placed(WANTED.windows, trade(-1)))
    assert not list(fold.placed(WANTED.windows, trade(120_000)))
    assert len(list(fold.placed(WANTED.windows, trade(0)))) == 3


def test_a_trade_that_cannot_be_summed_exactly_is_left_out() -> None:
    assert not list(fold.placed(WANTED.windows, trade(0, quantity="1e-500")))


def book(second: int, bid: str = "99.9", version: int = 1) -> StoredBook:
    at = START_MS + second * 1000
    one, two = [Decimal(bid)], [Decimal(1)]
    return StoredBook("BTCUSDT", at, one, two, [Decimal("100.1")], two, at + 1, at + 2, at * 1000 + version)


def test_figures_of_a_stored_book_have_every_column_and_bad_numbers_are_left_out() -> None:
    (row,) = fold.book_row(book(0))
    assert list(row) == list(by_table("book_metrics").column_names)
    assert (row["spread"], row["mid"], row["imbalance_5"]) == ("0.2", "100.00", "0")
    assert not list(fold.book_row(book(0, bid="1e-900")))


def test_order_books_of_two_parts_of_a_window_are_compared_together() -> None:
    anomalies = {"5s": Extent(5_000, Range(START_MS, START_MS + 5_000), Range(START_MS, START_MS + 5_000))}
    windows: defaultdict[Any, dict[int, Any]] = defaultdict(dict)
    for at, bid in ((0, "99.9"), (4, "99.7"), (5, "1")):
        (row,) = fold.book_row(book(at, bid))
        for key, books in fold.book_windows(anomalies, row):
            windows[key] = fold.united(windows[key], books)
    ((of, (open_ms, facts)),) = (fold.book_facts(anomalies, window) for window in windows.items())
    assert (of, open_ms) == (("book_metrics", "BTCUSDT", "5s"), START_MS)
    assert facts == Facts(
        2, (("spread", Decimal("0.3")), ("quote_rate", Decimal("0.4"))), START_MS + 4_001, START_MS + 4_002
    )


def test_each_written_anomaly_comes_from_its_run_and_the_run_before_and_the_newest_window_has_none() -> None:
    length = 5_000
    reach = 60 * length
    first = START_MS - START_MS % reach
    written = Range(first + reach + length, first + 3 * reach)
    anomalies = {"5s": Extent(length, written, Range(first, first + 4 * reach))}
    of = fold.Compared("bars", "BTCUSDT", "5s")
    known = [
        (at, Facts(1, (("price", Decimal(at % 7)), ("volume", Decimal(1 + at % 11)))[:2], at, at))
        for at in range(first, first + 2 * reach + 3 * length, length)
    ]
    runs: defaultdict[Any, list[Any]] = defaultdict(list)
    for window in random.Random(3).sample(known, len(known)):
        for key, value in fold.runs(fold.ANOMALY_MODEL, anomalies, (of, window)):
            runs[key].append(value)
    assert sorted(start for _, start in runs) == [first + reach, first + 2 * reach]
    newest = {of: known[-1][0]}
    found = [row for run in runs.items() for row in fold.model_rows(fold.ANOMALY_MODEL, anomalies, newest, run)]
    expected: list[Any] = []
    for start in (first + reach, first + 2 * reach):
        run = [(at, facts) for at, facts in known if start - reach <= at < start + reach]
        wanted = {at for at, _ in run if at >= start and written.has(at) and at != known[-1][0]}
        expected += rows(("BTCUSDT", "5s"), length, run, wanted)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert len(found) == 2 * (59 + 2)


def test_each_written_forecast_comes_from_its_run_and_the_two_before_and_the_newest_window_has_none() -> None:
    length, run_ms = 3_000, 120 * 3_000
    first = START_MS - START_MS % run_ms
    wanted = extents(
        Analytics.model_validate({"bars": ["3s"], "volatility": ["3s"], "forecasts": ["3s"]}),
        Range(first + 2 * run_ms + length, first + 4 * run_ms),
    )
    extent = wanted.forecasts["3s"]
    assert (extent.written.start_ms, extent.computed.start_ms) == (first + 2 * run_ms + length, first)
    chance = random.Random(5)
    trades = [
        trade(at - START_MS, price=str(100 + chance.randrange(-9, 9)))
        for at in range(first, first + 3 * run_ms + 7 * length, 900)
    ]
    contents: dict[Key, Any] = {}
    for one in trades:
        for key, placed in fold.placed(wanted.windows, one):
            contents[key] = fold.add(contents[key], placed) if key in contents else fold.begin(placed)
    parts: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for window in chance.sample(sorted(contents.items(), key=str), len(contents)):
        for place, part in fold.forecast_parts(wanted.forecasts, window):
            parts[place] = fold.united(parts[place], part)
    known = [fold.forecast_facts(window) for window in parts.items()]
    runs: defaultdict[Any, list[Any]] = defaultdict(list)
    for fact in known:
        for at, value in fold.runs(fold.FORECAST_MODEL, wanted.forecasts, fact):
            runs[at].append(value)
    newest = {of: max(at for _, (at, _) in known) for of, _ in known}
    found = [
        row for run in runs.items() for row in fold.model_rows(fold.FORECAST_MODEL, wanted.forecasts, newest, run)
    ]  # fmt: skip
    learned = sorted((value for _, value in known), key=lambda value: value[0])
    last = learned[-1][0]
    expected: list[Any] = []
    for start in (first + 2 * run_ms, first + 3 * run_ms):
        of_run = [value for value in learned if start - 2 * run_ms <= value[0] < start + run_ms]
        rows_of = {at for at, _ in of_run if at >= start and extent.written.has(at) and at != last}
        expected += forecasts.rows(("BTCUSDT", "3s"), length, of_run, rows_of, last)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert len(found) == 119 + 6
    assert all(row["completed"] for row in found)
    assert any(row["skill"] is not None for row in found)


def test_a_row_becomes_a_record_that_the_sinks_decode_with_its_commit() -> None:
    (row,) = fold.book_row(book(0))
    change: Any = Decoder(by_table("book_metrics")).decode(record("book_metrics", 1_790_000_000_000_000, row).encode())
    assert (change.op, change.committed_us, change.spread) == ("u", 1_790_000_000_000_000, "0.2")
