"""What `cryptocdc history` says: which days are left out, what has failed, and the list of files."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from tests.archive_files import DAY, file_of

from cryptocdc_adapters.postgres.history_files import HistoryFile, State
from cryptocdc_core.feed.model import parse
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import (
    CassandraSettings,
    ConnectSettings,
    KafkaSettings,
    PostgresSettings,
    SettingsError,
)
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Series
from cryptocdc_exchanges.registry import venue_of
from cryptocdc_history import commands
from cryptocdc_history.chosen import series_of
from cryptocdc_history.loading import refuse_beyond, refuse_unknown
from cryptocdc_history.recent import Missing, Part
from cryptocdc_history.result import Load, Options, Result
from cryptocdc_history.screen import listing, show
from cryptocdc_producer.archive.plan import Days
from cryptocdc_producer.archive.survey import Survey
from cryptocdc_verifier.target import Target

START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
TRADES, MINUTES = Series("recent_trades", "BTCUSDT", "aggregate"), Series("klines", "BTCUSDT", "1m")
FEED = parse(
    {
        "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "past"},
        "spec": {"symbols": {"names": ["BTCUSDT"]},
                 "streams": {"recentTrades": {"kind": "aggregate"}, "klines": {"intervals": ["1m"]}, "orderBook": {}}},
    }
)  # fmt: skip
VENUE = venue_of(FEED)
TARGET = Target(
    FEED, "exchange", PostgresSettings(password="x"), KafkaSettings(), CassandraSettings(password="x"),
    ConnectSettings(),
)  # fmt: skip


def record(day: int, state: State, series: Series = TRADES, **changed: object) -> HistoryFile:
    file = file_of(series, START + day * DAY)
    made = HistoryFile(file.path, *series, file.start_ms, file.end_ms, state)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def result(*records: HistoryFile, days: Days | None = None, only_plan: bool = False) -> Result:
    options = Options({"recent_trades": START}, START + 9 * DAY, [TRADES], Path())
    return Result(
        Load(TARGET, VENUE, options), {"recent_trades": days or Days()}, Survey(records=list(records)), only_plan
    )


def test_it_is_complete_when_every_file_is_proven_whatever_was_not_listed_yet() -> None:
    found = result(record(0, "absent"), record(1, "proven", rows=5), record(2, "absent"))

    assert found.complete
    assert found.text() == "2 absent, 1 proven; 5 rows proven in Cassandra"


@pytest.mark.parametrize("state", ["planned", "downloaded", "loaded", "quarantined"])
def test_it_is_incomplete_with_a_file_that_is_not_proven(state: State) -> None:
    found = result(record(0, "proven"), record(1, state, reason="it is empty"))

    assert not found.complete
    assert f"{record(1, state).path}: {state}: it is empty" in found.text()
    assert found.to_json()["failed"] == {record(1, state).path: "it is empty"}


def test_it_is_incomplete_with_a_file_that_is_missing_between_others() -> None:
    found = result(record(0, "proven"), record(1, "absent"), record(2, "proven"))

    assert not found.complete
    assert found.to_json()["missing"] == [record(1, "absent").path]


def test_days_that_are_not_loaded_are_counted_with_the_reason() -> None:
    text = result(days=Days([], expired=3, kept=1, beyond=9)).text()

    assert "days not loaded: 3, older than retention.cassandra, 90d" in text
    assert "days not loaded: 1, which PostgreSQL has not dropped yet" in text
    assert "days not loaded: 9, within retention.postgres, 2d, and before the 31 days for which REST is used" in text


def part(state: State, series: Series = TRADES, **changed: object) -> Part:
    made = HistoryFile(f"rest:{'/'.join(series)}", *series, START + 5 * DAY, START + 6 * DAY, state)
    for name, value in changed.items():
        setattr(made, name, value)
    return Part(made, None if state == "absent" else Missing(START + 5 * DAY, START + 6 * DAY, captured=True))


def test_the_days_that_postgresql_keeps_are_announced_and_counted() -> None:
    found = result(record(0, "proven", rows=5), days=Days(recent=[START + 5 * DAY]))
    found.parts = [part("loaded", rows=7), part("loaded", MINUTES, rows=3)]

    assert found.complete
    assert (
        "recent_trades: 1 series over REST from 2026-03-06T00:00 on, up to the first row captured: PostgreSQL keeps"
        " these days (retention.postgres, 2d)"
    ) in found.notes()
    assert found.text().endswith("1 proven; 5 rows proven in Cassandra; over REST 2 parts, 10 rows")
    assert [it["state"] for it in found.to_json()["over_rest"]] == ["loaded", "loaded"]


def test_it_is_incomplete_with_a_part_of_which_elements_were_refused() -> None:
    found = result(record(0, "proven"))
    found.parts = [part("planned", reason="3 elements were refused")]

    assert not found.complete
    assert "rest:recent_trades/BTCUSDT/aggregate: planned: 3 elements were refused" in found.text()


def test_series_that_rest_does_not_have_are_named_once() -> None:
    found = result(days=Days(recent=[START + 5 * DAY]))
    found.parts = [
        part("absent", TRADES._replace(symbol=symbol), reason="binance does not return these trades by id")
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]

    assert found.complete
    assert (
        "recent_trades: 2 series not fetched from 2026-03-06 on: binance does not return these trades by id"
        in found.text()
    )


def test_more_days_of_postgresql_than_rest_is_for_are_refused() -> None:
    load = result().load
    found = {"klines": Days(recent=[START + 5 * DAY], beyond=40)}
    with pytest.raises(
        BadInput, match=r"--from: 2026-03-01 is not accepted: PostgreSQL keeps 41 days .* accepted: 2026-03-06 or later"
    ):
        refuse_beyond(found, load)
    refuse_beyond({"klines": Days(recent=[START + 5 * DAY])}, load)


def test_only_symbols_that_were_chosen_are_refused_if_the_archive_has_nothing_of_them() -> None:
    """One symbol that was listed after the range does not stop the load of the others."""
    other = TRADES._replace(symbol="NEWUSDT")
    found = result(record(0, "proven"), record(0, "absent", other))

    assert found.unknown == ["NEWUSDT"]
    assert found.complete
    assert "NEWUSDT: the archive has no file of this time" in found.text()
    refuse_unknown(found.unknown, found.load)
    chosen = replace(found.load, options=replace(found.load.options, chosen=["BTCUSDT", "NEWUSDT"]))
    with pytest.raises(
        BadInput, match=r"--symbol: NEWUSDT: .* has no file of it from 2026-03-01 to 2026-03-10; accepted"
    ):
        refuse_unknown(found.unknown, chosen)


def test_parts_over_rest_are_listed_with_their_times() -> None:
    records = [part("loaded", MINUTES, rows=7).record, record(0, "proven", first_id=1, last_id=10)]
    shown = io.StringIO()
    show(records, Console(file=shown, width=200))

    assert "BTCUSDT klines 1m over REST, 2026-03-06T00:00 to 2026-03-07T00:00" in shown.getvalue()


def test_a_plan_is_never_incomplete() -> None:
    assert result(record(0, "planned"), only_plan=True).complete


def test_the_list_names_reasons_and_holes_in_files_and_between_them() -> None:
    records = [
        record(0, "proven", first_id=1, last_id=10, rows=8, missing=2, holes="4 to 5"),
        record(1, "quarantined", reason="line 3: 9 fields instead of 8: '[bold]1,2'"),
        record(2, "proven", first_id=21, last_id=30, rows=10, repeated=1),
    ]
    shown = io.StringIO()
    show(records, Console(file=shown, width=200))

    assert "the archive lacks 2 ids in it: 4 to 5" in shown.getvalue()
    assert "line 3: 9 fields instead of 8: '[bold]1,2'" in shown.getvalue()
    assert "the archive lacks 10 ids before it: 11 to 20" in shown.getvalue()
    assert "lines that are there twice: 1" in shown.getvalue()
    assert [it["missing_before"] for it in listing(records)] == [0, 0, 10]


def test_a_hole_of_candles_is_named_by_their_times() -> None:
    records = [record(0, "proven", MINUTES, first_id=START, last_id=START + DAY - 60_000),
               record(1, "proven", MINUTES, first_id=START + DAY + 120_000, last_id=START + DAY + 180_000)]  # fmt: skip
    shown = io.StringIO()
    show(records, Console(file=shown, width=200))

    assert "lacks 2 candles before it: 2026-03-02T00:00:00.000Z to 2026-03-02T00:01:00.000Z" in shown.getvalue()


def test_a_month_is_accepted_as_a_time() -> None:
    assert times.month_or_time("--from", "2026-03") == START
    with pytest.raises(BadInput, match="--from: '2026-13-01' is not accepted"):
        times.month_or_time("--from", "2026-13")


def test_only_streams_that_the_archive_has_are_accepted() -> None:
    assert [series.table for series in series_of(FEED, VENUE, ["BTCUSDT"], None)] == ["recent_trades", "klines"]
    assert series_of(FEED, VENUE, ["BTCUSDT"], ["klines"]) == [MINUTES]
    assert series_of(FEED, VENUE, ["BTCUSDT"], ["recent_trades"]) == [TRADES], "by table, too"
    for name in ("orderBook", "trades"):
        with pytest.raises(BadInput, match=rf"'{name}' is not accepted; accepted: .* has: recentTrades, klines"):
            series_of(FEED, VENUE, ["BTCUSDT"], [name])


def test_an_invalid_address_of_the_rest_api_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTOCDC_REST_URL", "ftp://nonsense")
    with pytest.raises(SettingsError, match="CRYPTOCDC_REST_URL: 'ftp://nonsense'"):
        commands._venue(FEED, TARGET)
