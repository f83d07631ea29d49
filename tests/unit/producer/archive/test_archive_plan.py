"""Which files of an archive are loaded, and which days are not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.archive_files import DAY, archive_of, file_of

from cryptocdc_adapters.exchange.archive_host import ArchiveUnavailable
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_exchanges.port import File, Period, Series
from cryptocdc_producer.archive.load import Item
from cryptocdc_producer.archive.plan import Retained, days, files, gaps, with_holes
from cryptocdc_producer.archive.survey import AGAIN, estimated_rows, survey

ARCHIVE = archive_of("binance")
TRADES = Series("recent_trades", "BTCUSDT", "aggregate")
WEEKS = Series("klines", "BTCUSDT", "1w")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def of(start: str, end: str) -> list[int]:
    return list(range(at(start), at(end), DAY))


def names(found: list[File]) -> list[str]:
    return [file.path.rpartition("/")[2].removeprefix("BTCUSDT-aggTrades-").removesuffix(".zip") for file in found]


def record(file: File, state: str, **changed: Any) -> HistoryFile:
    return HistoryFile(file.path, *file.series, file.start_ms, file.end_ms, state=state, **changed)  # type: ignore[arg-type]


NOW = at("2026-03-10T12:00")
KEPT = Retained(NOW, 2 * 86_400, 90 * 86_400)


def test_only_days_that_postgresql_does_not_keep_any_more_are_loaded() -> None:
    found = days(at("2026-03-05"), NOW, KEPT, ())

    assert found.load == of("2026-03-05", "2026-03-08")
    assert found.recent == of("2026-03-08", "2026-03-11"), "the 8th ended 36 hours ago"


def test_a_day_that_postgresql_has_not_dropped_yet_is_not_loaded() -> None:
    found = days(at("2026-03-05"), at("2026-03-08"), KEPT, {at("2026-03-06")})

    assert found.load == [at("2026-03-05"), at("2026-03-07")]
    assert found.kept == 1


def test_a_day_that_postgresql_has_not_dropped_yet_before_those_that_it_keeps_is_one_of_them() -> None:
    found = days(at("2026-03-05"), NOW, KEPT, {at("2026-03-07")})

    assert found.load == of("2026-03-05", "2026-03-07")
    assert found.recent == of("2026-03-07", "2026-03-11")
    assert found.kept == 0


def test_days_older_than_cassandra_s_retention_are_counted_and_not_loaded() -> None:
    found = days(at("2025-12-01"), at("2025-12-20"), KEPT, ())

    assert found.load == of("2025-12-12", "2025-12-20"), "90 days before now is noon of the 10th"
    assert found.expired == 11


def test_without_an_end_of_the_retentions_all_is_in_postgresql_or_nothing_expires() -> None:
    assert days(at("2020-01-01"), at("2020-01-03"), Retained(NOW, None, None), ()).recent == of(
        "2020-01-01", "2020-01-03"
    )
    assert len(days(at("2020-01-01"), at("2020-01-03"), Retained(NOW, 1, None), ()).load) == 2


def test_only_a_month_of_days_that_postgresql_keeps_is_for_rest() -> None:
    found = days(at("2026-01-01"), NOW, Retained(NOW, None, None), ())

    assert found.recent == of("2026-02-08", "2026-03-11")
    assert found.beyond == 38


def test_months_are_loaded_whole_and_days_for_the_rest() -> None:
    found = files(ARCHIVE, TRADES, of("2026-01-30", "2026-03-03"), [])

    assert names(found) == ["2026-01-30", "2026-01-31", "2026-02", "2026-03-01", "2026-03-02"]


def test_a_month_of_which_days_are_loaded_is_completed_by_days() -> None:
    wanted = of("2026-02-01", "2026-03-01")
    day = file_of(TRADES, at("2026-02-03"))

    assert len(files(ARCHIVE, TRADES, wanted, [record(day, "proven")])) == 28
    assert names(files(ARCHIVE, TRADES, wanted, [record(day, "planned")])) == ["2026-02"]


def test_a_loaded_month_is_not_loaded_again_by_days() -> None:
    month = file_of(TRADES, at("2026-02-01"), Period.MONTH)

    assert names(files(ARCHIVE, TRADES, of("2026-02-10", "2026-02-12"), [record(month, "proven")])) == ["2026-02"]


class Host:
    """Has these files, and the checksum `digest` of each; or `body` instead of each checksum."""

    base = "https://archive.example"

    def __init__(self, *had: str, digest: str = "ab" * 32, body: bytes | None = None) -> None:
        self.had, self.digest, self.body = had, digest, body

    def size(self, path: str) -> int | None:
        return 1000 if any(name in path for name in self.had) else None

    def small(self, path: str) -> bytes | None:
        return self.body or f"{self.digest}  {path.rpartition('/')[2].removesuffix('.CHECKSUM')}\n".encode()


def test_days_are_looked_for_where_a_month_is_not_published() -> None:
    found = survey(ARCHIVE, Host("-2026-01.zip", "-2026-02-27", "-2026-02-28"),
                   {TRADES: of("2026-01-01", "2026-03-01")}, [])  # fmt: skip

    assert names([item.file for item in found.items]) == ["2026-01", "2026-02-27", "2026-02-28"]
    assert sum(it.state == "absent" for it in found.records) == 26
    assert found.bytes == 3000


def test_a_proven_file_is_left_alone_until_it_is_published_again() -> None:
    day = file_of(TRADES, at("2026-03-05"))
    known = record(day, "proven", published="ab" * 32, checksum="ab" * 32, read_ms=5)
    wanted = {TRADES: of("2026-03-05", "2026-03-06")}

    assert survey(ARCHIVE, Host("2026"), wanted, [known]).items == []

    (item,) = survey(ARCHIVE, Host("2026", digest="cd" * 32), wanted, [known]).items
    assert (item.record.state, item.record.reason, item.record.read_ms) == ("planned", AGAIN, None)


@pytest.mark.parametrize(
    "body",
    [b"<!DOCTYPE html><html>later</html>", b"cd" * 32 + b"  BTCUSDT-aggTrades-2026-03-06.zip\n", b"cd" * 32, b" "],
    ids=["page", "another file's", "no name", "empty"],
)
def test_an_answer_that_is_no_checksum_does_not_plan_a_proven_file_again(body: bytes) -> None:
    day = file_of(TRADES, at("2026-03-05"))
    known = record(day, "proven", published="ab" * 32, checksum="ab" * 32, read_ms=5)
    wanted = {TRADES: of("2026-03-05", "2026-03-06")}

    with pytest.raises(
        ArchiveUnavailable, match=rf"^https://archive\.example{day.path}\.CHECKSUM: the response is not"
    ):
        survey(ARCHIVE, Host("2026", body=body), wanted, [known])

    assert (known.state, known.reason, known.read_ms) == ("proven", "", 5)


def test_a_part_of_a_month_is_reported_where_only_months_are_published() -> None:
    found = survey(ARCHIVE, Host("2026"), {WEEKS: of("2026-01-15", "2026-03-01")}, [])

    assert [item.file.start_ms for item in found.items] == [at("2026-02-01")]
    assert found.unpublished == [WEEKS]


def test_a_part_of_a_month_that_is_loaded_already_is_not_reported_as_unpublished() -> None:
    month = record(file_of(TRADES, at("2026-02-01"), Period.MONTH), "proven", published="ab" * 32)

    found = survey(ARCHIVE, Host("2026"), {TRADES: of("2026-02-10", "2026-02-12")}, [month])

    assert found.records == [month]
    assert found.unpublished == []


def test_rows_are_estimated_by_size_and_candles_by_their_number() -> None:
    day = file_of(TRADES, at("2026-03-05"))
    minutes = file_of(Series("klines", "BTCUSDT", "1m"), at("2026-03-05"))
    items = [Item(file, record(file, "planned", bytes=17_000)) for file in (day, minutes)]

    assert estimated_rows(ARCHIVE, items[:1]) == 1000
    assert estimated_rows(ARCHIVE, items[1:]) == 1440


def test_a_file_that_is_missing_between_others_is_a_gap_and_one_before_the_listing_is_none() -> None:
    states = ["absent", "proven", "absent", "proven", "absent"]
    found = [record(file_of(TRADES, at("2026-03-01") + number * DAY), state) for number, state in enumerate(states)]

    assert [it.start_ms for it in gaps(found)] == [at("2026-03-03")]


@pytest.mark.parametrize(("last", "first", "hole"), [(10, 11, None), (10, 14, (11, 13, 3))])
def test_ids_are_consecutive_across_files(last: int, first: int, hole: object) -> None:
    one, lost, other = (file_of(TRADES, at("2026-03-01") + number * DAY) for number in range(3))
    found = [record(one, "proven", first_id=1, last_id=last), record(lost, "absent"),
             record(other, "proven", first_id=first, last_id=99)]  # fmt: skip

    assert [between for _, between in with_holes(found)] == [None, None, hole]


def test_the_first_file_of_a_series_has_no_hole_before_it() -> None:
    one, other = (file_of(TRADES._replace(symbol=symbol), at("2026-03-01")) for symbol in ("AUSDT", "BUSDT"))
    found = [record(one, "proven", first_id=1, last_id=7), record(other, "proven", first_id=70, last_id=80)]

    assert [between for _, between in with_holes(found)] == [None, None]
