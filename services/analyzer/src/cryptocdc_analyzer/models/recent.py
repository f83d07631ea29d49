"""What models are given of one partition: the windows of its trades, or of its order books, with those before. Pure but
for the stored rows that it is given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from cryptocdc_analyzer.exact import EXACT, QUOTIENT, ZERO
from cryptocdc_analyzer.models import anomalies, forecasts
from cryptocdc_analyzer.models.anomalies import facts_of_bar
from cryptocdc_analyzer.models.history import Facts, History, Of, Past, Run
from cryptocdc_analyzer.windows.series import LATENESS_MS, known_from
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.computed import ANOMALIES, BARS, BOOK_METRICS, FORECASTS, VOLATILITY
from cryptocdc_core.rows.versions import version
from cryptocdc_core.time.times import millis

Read = Callable[[Stream, Past], Iterator[list[Any]]]
"""Yields the stored rows of a range, a page at a time."""


SEARCHED_MS = 86_400_000
"""How long before a program's first window the one before it is searched for."""


class Recent(Protocol):
    sources: tuple[Stream, ...]
    """The tables whose rows it is given."""
    result: Stream
    """The table whose rows it makes."""

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row of one of the sources, as it is sent to Kafka."""
        ...

    def wanted(self) -> bool:
        """Return whether stored rows must be read before all is compared."""
        ...

    def load(self, read: Read) -> Iterator[None]:
        """Read what is wanted, and yield after each page."""
        ...

    def take(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the result that have changed."""
        ...


class _Compared:
    sources: tuple[Stream, ...]
    result: Stream = ANOMALIES
    reach = anomalies.REACH

    def __init__(self, lengths: Mapping[str, int], since_ms: int) -> None:
        """As History."""
        self._lengths = lengths
        self._history = History(lengths, since_ms, self.reach)

    def wanted(self) -> bool:
        return bool(self._history.wanted())

    def load(self, read: Read) -> Iterator[None]:
        for past in self._history.wanted():
            found = yield from self._stored(read, past)
            unpreceded = self._history.unpreceded(past, found)
            self._history.load(past, found)
            if unpreceded:
                # The row of the last window of the day before may be missing.
                before = past._replace(start_ms=past.start_ms - SEARCHED_MS, end_ms=past.start_ms)
                if earlier := (yield from self._stored(read, before)):
                    last = max(earlier)
                    self._history.put(past.symbol, past.interval, last, earlier[last])

    def _stored(self, read: Read, past: Past) -> Generator[None, None, dict[int, Facts]]:
        """Read the windows of a range, and yield after each page."""
        found: dict[str, list[Any]] = {}
        for stream in self.sources:
            found[stream.table] = []
            for page in read(stream, past):
                found[stream.table] += page
                yield
        return self._facts(past, *found.values())

    def take(self) -> Iterator[dict[str, Any]]:
        for run in self._history.take():
            yield from self._rows(run)

    def _rows(self, run: Run) -> Iterator[dict[str, Any]]:
        return anomalies.rows((run.symbol, run.interval), run.length_ms, run.windows, run.wanted)

    def _facts(self, past: Past, /, *stored: list[Any]) -> dict[int, Facts]:
        """Return what windows amount to, given the stored rows of each source."""
        raise NotImplementedError


class RecentBars(_Compared):
    sources: tuple[Stream, ...] = (BARS,)

    def add(self, _table: str, row: Mapping[str, Any], /) -> None:
        if row["interval"] in self._lengths:
            opened, closed, volume = (Decimal(row[name]) for name in ("open", "close", "volume"))
            facts = facts_of_bar(opened, closed, volume, row["trade_count"], row["event_time"], row["received_at"])
            self._history.put(row["symbol"], row["interval"], row["open_time"], facts)

    def _facts(self, _past: Past, /, *stored: list[Any]) -> dict[int, Facts]:
        (bars,) = stored
        return {
            millis(row.open_time): facts_of_bar(
                row.open, row.close, row.volume, row.trade_count, millis(row.event_time), millis(row.received_at)
            )
            for row in bars
            if None not in row  # otherwise written by hand
        }


class RecentForecasts(_Compared):
    """A window is its bar and its volatility of the same trades."""

    sources: tuple[Stream, ...] = (BARS, VOLATILITY)
    result = FORECASTS
    reach = forecasts.REACH

    def __init__(self, lengths: Mapping[str, int], since_ms: int) -> None:
        super().__init__(lengths, since_ms)
        self._halves: dict[tuple[str, str, int], dict[str, Mapping[str, Any]]] = {}
        """The rows of windows whose other row has not come: both are made of each trade at once."""

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        if row["interval"] not in self._lengths:
            return
        key = row["symbol"], row["interval"], row["open_time"]
        halves = self._halves.setdefault(key, {})
        halves[table] = row
        if len(halves) == len(self.sources):
            facts = forecasts.facts_of_rows(halves[BARS.table], halves[VOLATILITY.table])
            if facts is not None:
                self._history.put(*key, facts)
                del self._halves[key]

    def _rows(self, run: Run) -> Iterator[dict[str, Any]]:
        return forecasts.rows((run.symbol, run.interval), run.length_ms, run.windows, run.wanted, run.newest)

    def _facts(self, _past: Past, /, *stored: list[Any]) -> dict[int, Facts]:
        bars, others = stored
        realized = {row.open_time: row for row in others}
        return {
            millis(row.open_time): forecasts.facts_of(
                row.open, row.close, realized[row.open_time].realized, row.trade_count, millis(row.event_time),
                millis(row.received_at),
            )
            for row in bars
            # Otherwise written by hand.
            if None not in row
            and row.open_time in realized
            and realized[row.open_time].trade_count == row.trade_count
        }  # fmt: skip


class Book(NamedTuple):
    spread: Decimal | None
    event_ms: int
    received_ms: int
    version: int


class _Window:
    def __init__(self, *, whole: bool) -> None:
        self.books: dict[int, Book] = {}
        self.whole = whole
        """Whether no stored book of the window is missing here."""

    def add(self, at: int, book: Book) -> None:
        known = self.books.get(at)
        if known is None or known.version < book.version:
            self.books[at] = book


class RecentBooks(_Compared):
    """Order books of windows in memory are held until LATENESS_MS after the window's end. A later one makes its window
    be read again."""

    sources: tuple[Stream, ...] = (BOOK_METRICS,)

    def __init__(self, lengths: Mapping[str, int], since_ms: int) -> None:
        super().__init__(lengths, since_ms)
        self._since_ms = since_ms
        self._known_from: dict[str, int] = {}
        self._windows: dict[Of, dict[int, _Window]] = {}
        self._left: dict[Of, int] = {}

    def add(self, _table: str, row: Mapping[str, Any], /) -> None:
        symbol, at = row["symbol"], row["bucket_time"]
        spread = None if row["spread"] is None else Decimal(row["spread"])
        book = Book(spread, row["event_time"], row["received_at"], row["version"])
        if symbol not in self._known_from:
            self._known_from[symbol] = known_from(self._since_ms, max(at, book.received_ms))
        for interval, length in self._lengths.items():
            of, open_ms = (symbol, interval), at - at % length
            windows = self._windows.setdefault(of, {})
            if open_ms not in windows:
                windows[open_ms] = _Window(whole=open_ms >= max(self._known_from[symbol], self._left.get(of, 0)))
                self._forget(of, at)
            window = windows[open_ms]
            window.add(at, book)
            self._history.put(symbol, interval, open_ms, facts_of(window.books, length), unread=not window.whole)

    def _forget(self, of: Of, now_ms: int) -> None:
        """Forget the books of the windows that ended long before `now_ms`."""
        windows, length = self._windows[of], self._lengths[of[1]]
        for open_ms in [at for at in windows if at + length + LATENESS_MS <= now_ms and windows[at].whole]:
            del windows[open_ms]
            self._left[of] = max(self._left.get(of, 0), open_ms + length)

    def _facts(self, past: Past, /, *stored: list[Any]) -> dict[int, Facts]:
        (books,) = stored
        length, windows = self._lengths[past.interval], self._windows.get((past.symbol, past.interval), {})
        found: dict[int, _Window] = {}
        for row in books:
            if row.version is None or row.event_time is None or row.received_at is None:
                continue  # written by hand
            at = millis(row.bucket_time)
            window = found.setdefault(at - at % length, _Window(whole=True))
            window.add(at, Book(row.spread, millis(row.event_time), millis(row.received_at), row.version))
        for open_ms, window in windows.items():
            if past.start_ms <= open_ms < past.end_ms:
                for at, book in found[open_ms].books.items() if open_ms in found else ():
                    window.add(at, book)
                window.whole = True
                found[open_ms] = window
        return {open_ms: facts_of(window.books, length) for open_ms, window in found.items()}


def facts_of(books: Mapping[int, Book], length_ms: int) -> Facts:
    """Return the facts of a window with one or more order books, by their time in milliseconds."""
    spreads = [book.spread for book in books.values() if book.spread is not None]
    mean = QUOTIENT.divide(_sum(spreads), Decimal(len(spreads))).normalize(QUOTIENT) if spreads else None
    rate = QUOTIENT.divide(Decimal(1000 * len(books)), Decimal(length_ms)).normalize(QUOTIENT)
    return Facts(
        # Grows with each book, and with each newer version of one.
        sum(max(1, book.version - version(at)) for at, book in books.items()),
        (("spread", mean), ("quote_rate", rate)),
        max(book.event_ms for book in books.values()),
        max(book.received_ms for book in books.values()),
    )


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for number in numbers:
        total = EXACT.add(total, number)
    return total
