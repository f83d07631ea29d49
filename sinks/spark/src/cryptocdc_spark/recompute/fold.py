"""What runs in Spark's tasks: rows of computed tables from stored rows, with the analyzer's own code. Pure.

Windows are combined, never collected: a task holds a window's sums, not its trades.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from cryptocdc_analyzer.books import metrics
from cryptocdc_analyzer.exact import EXACT
from cryptocdc_analyzer.models import anomalies, forecasts
from cryptocdc_analyzer.models.anomalies import facts_of_bar
from cryptocdc_analyzer.models.history import Facts, Reach
from cryptocdc_analyzer.models.recent import Book, facts_of
from cryptocdc_analyzer.windows.bars import Bar, Trade
from cryptocdc_analyzer.windows.series import Key, Series, content_of, summable
from cryptocdc_analyzer.windows.volatility import Volatility
from cryptocdc_core.catalogue.computed import BARS, BOOK_METRICS, FORECASTS, VOLATILITY
from cryptocdc_spark.recompute.extents import Extent, Range

Row = dict[str, Any]
"""Times in milliseconds, decimals as text."""


class Compared(NamedTuple):
    """Windows that a model learns one after the other."""

    table: str
    """What the model is given: the rows of this table, for forecasts those of bars and volatility."""
    symbol: str
    interval: str


class Placed(NamedTuple):
    """A trade in one of its windows."""

    trade: Trade
    key: Key
    length_ms: int


def placed(windows: Mapping[Series, Extent], trade: Trade) -> Iterator[tuple[Key, Placed]]:
    """Yield a trade once for each of its windows; not at all if it can't be summed exactly."""
    if not summable(trade):
        return
    for series, (length, _, computed) in windows.items():
        open_ms = trade.at_ms - trade.at_ms % length
        if computed.has(open_ms):
            key = Key(trade.symbol, series, open_ms)
            yield key, Placed(trade, key, length)


def begin(first: Placed) -> Bar | Volatility:
    """Return the content of a window with one trade."""
    return content_of(first.trade, first.key, first.length_ms)


def add(content: Bar | Volatility, one: Placed) -> Bar | Volatility:
    content.add(one.trade)
    return content


def merge(content: Any, other: Any) -> Any:
    """Return one content of two of the same window."""
    content.merge(other)
    return content


def window_row(windows: Mapping[Series, Extent], window: tuple[Key, Bar | Volatility]) -> Iterator[Row]:
    """Yield the row of a window, if it is one of those that are written."""
    key, content = window
    length, written, _ = windows[key.series]
    if written.has(key.open_ms):
        yield content.row((key.symbol, key.series.interval, key.open_ms), key.open_ms + length)


def bar_facts(
    compared: Mapping[str, Extent], window: tuple[Key, Bar | Volatility]
) -> Iterator[tuple[Compared, tuple[int, Facts]]]:
    """Yield what is compared of a window, if it is a bar of such a length."""
    key, bar = window
    if (
        isinstance(bar, Bar)
        and key.series.interval in compared
        and compared[key.series.interval].computed.has(key.open_ms)
    ):
        opened, _, _, closed = bar.prices
        volume = EXACT.add(bar.bought, bar.sold)
        facts = facts_of_bar(opened, closed, volume, bar.count, bar.last_ms, bar.received_ms)
        yield Compared(BARS.table, key.symbol, key.series.interval), (key.open_ms, facts)


def book_row(book: Any) -> Iterator[Row]:
    """Yield the figures of a row of order_book; nothing if it has numbers that can't be summed exactly."""
    try:
        yield metrics(book)
    except ArithmeticError:
        return


def is_written(books: Range, row: Row) -> bool:
    return books.has(row[BOOK_METRICS.time])


def book_windows(compared: Mapping[str, Extent], row: Row) -> Iterator[tuple[tuple[str, str, int], dict[int, Book]]]:
    """Yield a row of book_metrics once for each of its windows, by (symbol, interval, open time)."""
    at = row[BOOK_METRICS.time]
    spread = None if row["spread"] is None else Decimal(row["spread"])
    book = Book(spread, row["event_time"], row["received_at"], row["version"])
    for interval, (length, _, computed) in compared.items():
        if computed.has(at - at % length):
            yield (row["symbol"], interval, at - at % length), {at: book}


def united(parts: dict[Any, Any], others: dict[Any, Any]) -> dict[Any, Any]:
    """Return all parts of a window: its order books by second, or its rows by table."""
    parts.update(others)
    return parts


def book_facts(
    compared: Mapping[str, Extent], window: tuple[tuple[str, str, int], dict[int, Book]]
) -> tuple[Compared, tuple[int, Facts]]:
    """Return what is compared of a window's order books."""
    (symbol, interval, open_ms), books = window
    return Compared(BOOK_METRICS.table, symbol, interval), (open_ms, facts_of(books, compared[interval].length_ms))


def forecast_parts(
    predicted: Mapping[str, Extent], window: tuple[Key, Bar | Volatility]
) -> Iterator[tuple[tuple[str, str, int], dict[str, Row]]]:
    """Yield the row of a window by its table, by (symbol, interval, open time), if windows of its length are
    predicted."""
    key, content = window
    extent = predicted.get(key.series.interval)
    if extent is not None and extent.computed.has(key.open_ms):
        of = key.symbol, key.series.interval, key.open_ms
        yield of, {key.series.table: content.row(of, key.open_ms + extent.length_ms)}


def forecast_facts(window: tuple[tuple[str, str, int], dict[str, Row]]) -> tuple[Compared, tuple[int, Facts]]:
    """Return what forecasts are made of, given a window's bar and volatility."""
    (symbol, interval, open_ms), parts = window
    facts = forecasts.facts_of_rows(parts[BARS.table], parts[VOLATILITY.table])
    assert facts is not None, "each trade is added to both"
    return Compared(FORECASTS.table, symbol, interval), (open_ms, facts)


class Model(NamedTuple):
    reach: Reach
    rows: Callable[[tuple[str, str], int, Sequence[tuple[int, Facts]], Container[int], int], Iterator[Row]]
    """Yields the rows of a run, given symbol and interval, the length, the windows, which of them are wanted, and the
    last one that is known."""


def _anomalies(
    of: tuple[str, str], length_ms: int, known: Sequence[tuple[int, Facts]], wanted: Container[int], _newest: int
) -> Iterator[Row]:
    return anomalies.rows(of, length_ms, known, wanted)


ANOMALY_MODEL = Model(anomalies.REACH, _anomalies)
FORECAST_MODEL = Model(forecasts.REACH, forecasts.rows)


def runs(
    model: Model, extents: Mapping[str, Extent], window: tuple[Compared, tuple[int, Facts]]
) -> Iterator[tuple[tuple[Compared, int], tuple[int, Facts]]]:
    """Yield a window once for each run whose rows are made of it: its own, and those after it."""
    of, (open_ms, facts) = window
    length, written, _ = extents[of.interval]
    run_ms = model.reach.windows * length
    for step in range(model.reach.before + 1):
        start = model.reach.start(open_ms, length) + step * run_ms
        if start < written.end_ms and start + run_ms > written.start_ms:
            yield (of, start), (open_ms, facts)


def model_rows(
    model: Model,
    extents: Mapping[str, Extent],
    newest: Mapping[Compared, int],
    run: tuple[tuple[Compared, int], Iterable[tuple[int, Facts]]],
) -> Iterator[Row]:
    """Yield the rows of a run that are written, given all windows of it and of the runs before. `newest` is the open
    time of the last known window: it may not be over, and has no row."""
    (of, start), windows = run
    length, written, _ = extents[of.interval]
    known = sorted(windows, key=lambda window: window[0])
    last = newest[of]
    wanted = {at for at, _ in known if start <= at < last and written.has(at)}
    yield from model.rows((of.symbol, of.interval), length, known, wanted, last)
