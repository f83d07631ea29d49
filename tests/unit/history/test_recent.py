"""The days that PostgreSQL keeps: what of them is fetched over REST, and what is recorded of that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.archive_files import DAY

from cryptocdc_adapters.exchange.rest import ExchangeRefused, ExchangeUnreachable
from cryptocdc_adapters.postgres.history_files import HistoryFile, State
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Series, Venue
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_history.recent import Missing, Part, Recent, missing_of
from cryptocdc_producer.archive.plan import REST_DAYS, Days
from cryptocdc_producer.rest.history import Fetched, Progress
from cryptocdc_producer.rest.ranges import Range, label

TRADES, MINUTES = Series("recent_trades", "BTCUSDT", "aggregate"), Series("klines", "BTCUSDT", "1m")
NOW = times.parse("2026-03-10T12:00")
BEGIN = times.parse("2026-03-08")
HOUR = 3_600_000
DAYS = {table: Days(recent=[BEGIN, BEGIN + DAY, BEGIN + 2 * DAY]) for table in ("recent_trades", "klines")}


class Stored:
    """Rows at `times`, of every series, and what was recorded, in order."""

    def __init__(self, *times: int) -> None:
        self.times = list(times)
        self.saved: list[HistoryFile] = []

    def save(self, files: Iterable[HistoryFile], /) -> None:
        self.saved += [replace(file) for file in files]

    def first_stored(self, table: str, symbol: str, kind: str, from_ms: int) -> int | None:
        return min((at for at in self.times if at >= from_ms), default=None)


class Exchange:
    """Returns `rows` rows of each range; `capture` is stored once the first one is fetched."""

    def __init__(self, stored: Stored, rows: int = 10, refused: int = 0, capture: int | None = None) -> None:
        self.stored, self.rows, self.refused, self.capture = stored, rows, refused, capture
        self.problems: list[str] = ["wrong-decimal: b'1.2.3'"]
        self.asked: list[Range] = []
        self.error: Exception | None = None

    async def fetch(self, symbol: str, wanted: Sequence[Range], progress: Progress) -> dict[str, Fetched]:
        if self.error is not None:
            raise self.error
        self.asked += wanted
        if self.capture is not None:
            self.stored.times.append(self.capture)
        return {label(it.series.table, it.series.kind): Fetched(self.rows, self.refused) for it in wanted}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "now_ms", lambda: NOW)


def recent(stored: Stored, *known: HistoryFile, end_ms: int | None = None, venue: Venue = VENUES["binance"]) -> Recent:
    return Recent(venue, stored, known, end_ms)


def fetch(of: Recent, part: Part, exchange: Exchange) -> HistoryFile:
    asyncio.run(of.fetch(part, exchange, lambda *_: None))
    return part.record


def record(state: State, from_ms: int, to_ms: int, series: Series = TRADES, **more: Any) -> HistoryFile:
    return HistoryFile(f"rest:{'/'.join(series)}", *series, from_ms, to_ms, state, **more)


def test_the_days_are_fetched_up_to_the_first_row_that_capture_has_stored() -> None:
    captured = NOW - 24 * HOUR
    stored = Stored(captured, captured + 1)
    of = recent(stored)
    trades, minutes = of.parts([TRADES, MINUTES], DAYS)
    exchange = Exchange(stored)

    made = [fetch(of, part, exchange) for part in (trades, minutes)]

    assert exchange.asked == [
        Range(TRADES, BEGIN, captured + 1),  # other trades of that millisecond included
        Range(MINUTES, BEGIN, captured),
    ]
    assert [(it.state, it.start_ms, it.end_ms, it.rows) for it in made] == [("loaded", BEGIN, captured, 10)] * 2
    assert [it.state for it in stored.saved] == ["planned", "loaded"] * 2, "a kill leaves it planned"
    assert of.parts([TRADES, MINUTES], DAYS) == [], "a second run has nothing to do"


def test_without_captured_rows_they_are_fetched_until_now_or_the_end_of_what_is_wanted() -> None:
    assert recent(Stored()).parts([TRADES], DAYS)[0].missing == Missing(BEGIN, NOW, False)
    assert recent(Stored(), end_ms=NOW - HOUR).parts([TRADES], DAYS)[0].missing == Missing(BEGIN, NOW - HOUR, False)
    assert recent(Stored(), end_ms=NOW + HOUR).parts([TRADES], DAYS)[0].missing == Missing(BEGIN, NOW, False)


def test_a_candle_that_is_not_final_yet_is_left_to_a_later_run() -> None:
    weeks = MINUTES._replace(kind="1w")

    minutes, *others = recent(Stored(), end_ms=None).parts([MINUTES, weeks], DAYS)

    assert minutes.missing == Missing(BEGIN, NOW - 60_000, False)
    (monday,) = others
    assert monday.missing == Missing(BEGIN, times.parse("2026-03-09"), False)


def test_capture_that_begins_meanwhile_is_met() -> None:
    """It found nothing stored when it began, so it records no gap before its first row."""
    stored = Stored()
    of = recent(stored, end_ms=None)
    (part,) = of.parts([TRADES], DAYS)
    part.missing = Missing(BEGIN, NOW - 60_000, False)  # now, when it began
    exchange = Exchange(stored, capture=NOW - 5_000)

    made = fetch(of, part, exchange)

    assert exchange.asked[1:] == [Range(TRADES, NOW - 60_000, NOW - 4_999)]
    assert (made.state, made.start_ms, made.end_ms, made.rows) == ("loaded", BEGIN, NOW - 5_000, 20)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([BEGIN + 5, NOW - 6 * HOUR], Missing(BEGIN, NOW - 6 * HOUR, True)),
        ([BEGIN + 5], Missing(BEGIN, NOW, False)),
    ],
    ids=["it ended at a captured row", "nothing was captured"],
)
def test_a_range_that_was_interrupted_is_fetched_again_whole(stored: list[int], expected: Missing) -> None:
    """Its first rows are stored, and look like captured ones."""
    before = record("planned", BEGIN, NOW - 6 * HOUR)

    assert missing_of(BEGIN, NOW, before, lambda at: Stored(*stored).first_stored(*TRADES, at)) == expected
    assert missing_of(BEGIN, NOW, None, lambda at: Stored(*stored).first_stored(*TRADES, at)) != expected


def test_an_interrupted_range_is_completed_though_less_is_wanted_now() -> None:
    before = record("planned", BEGIN, NOW)

    assert missing_of(BEGIN + DAY, NOW - HOUR, before, lambda _: None) == Missing(BEGIN, NOW, False)


def test_a_range_that_was_fetched_is_extended_not_fetched_again() -> None:
    stored, before = Stored(BEGIN + 5), record("loaded", BEGIN, NOW - HOUR, rows=70)
    of = recent(stored, before)
    (part,) = of.parts([TRADES], DAYS)

    made = fetch(of, part, Exchange(stored))

    assert part.missing == Missing(NOW - HOUR, NOW, False)
    assert (made.start_ms, made.end_ms, made.rows) == (BEGIN, NOW, 80)


def test_days_before_those_that_were_fetched_are_fetched_up_to_them() -> None:
    before = record("loaded", BEGIN + DAY, NOW)

    assert missing_of(BEGIN, NOW, before, lambda _: BEGIN + DAY + 3) == Missing(BEGIN, BEGIN + DAY + 3, True)


def test_trades_that_are_not_returned_by_id_are_named() -> None:
    raw = TRADES._replace(kind="trade")

    (part,) = recent(Stored()).parts([raw], DAYS)

    assert part.missing is None
    assert (part.record.state, part.record.reason) == ("absent", "binance does not return these trades by id")


def test_a_part_with_refused_elements_stays_planned_with_the_reason() -> None:
    stored = Stored()
    of = recent(stored)
    (part,) = of.parts([TRADES], DAYS)

    made = fetch(of, part, Exchange(stored, refused=3))

    assert (made.state, made.rows) == ("planned", 10)
    assert made.reason == "3 elements were refused, such as wrong-decimal: b'1.2.3'"
    assert stored.saved[-1] == made


def test_a_symbol_that_the_exchange_does_not_list_is_absent_and_other_errors_end_the_load() -> None:
    stored = Stored()
    of, exchange = recent(stored), Exchange(stored)
    (part,) = of.parts([TRADES], DAYS)
    exchange.error = ExchangeRefused(-1121, "Invalid symbol.", unknown_symbol=True)
    assert fetch(of, part, exchange).reason == "binance does not list it"
    assert part.record.state == "absent"

    exchange.error = ExchangeUnreachable("no")
    with pytest.raises(ExchangeUnreachable):
        fetch(of, part, exchange)
    assert stored.saved[-1].state == "planned"


def test_days_beyond_what_rest_is_for_are_named_with_the_part() -> None:
    (part,) = recent(Stored()).parts([MINUTES], {"klines": Days(recent=[BEGIN], beyond=7)})

    assert part.record.reason == f"REST is for {REST_DAYS} days: those before are not loaded"


def test_without_days_that_postgresql_keeps_there_are_no_parts() -> None:
    assert recent(Stored()).parts([MINUTES], {"klines": Days(load=[BEGIN])}) == []
