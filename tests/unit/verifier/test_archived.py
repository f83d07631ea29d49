"""A file of an archive against Cassandra's lines: every value counts, and what the file lacks is told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.archive_files import DAY, HEADER, archive_of, file_of, spot_klines, spot_trades, zipped

from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.rows.versions import archive_version
from cryptocdc_core.storage.windows import Partition, Window
from cryptocdc_exchanges.port import Series
from cryptocdc_verifier.archived import Lines, Outcome, compare
from cryptocdc_verifier.comparing.canonical import key_of, ordered, time_of

START = int(datetime(2026, 3, 5, tzinfo=UTC).timestamp() * 1000)
READ = 1_800_000_000_000
WHOLE = Window(START, START + DAY)
TRADES = Series("recent_trades", "BTCUSDT", "aggregate")
MINUTES = Series("klines", "BTCUSDT", "1m")


class Cassandra:
    """Holds lines of one table."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def read(
        self, stream: Stream, partitions: Iterable[Partition], window: Window
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]:
        for partition in partitions:
            yield partition, iter([line for line in self.lines if self._in(stream, line, partition, window)])

    def _in(self, stream: Stream, line: bytes, partition: Partition, window: Window) -> bool:
        at = time_of(stream, key_of(stream, line))
        return at in window and stream.bucket_of(partition.prefix).floor(at) == partition.bucket


def lines_of(folder: Path, lines: list[str], series: Series = TRADES, venue: str = "binance") -> Lines:
    file = file_of(series, START, venue=venue)
    path = folder / "file.zip"
    path.write_bytes(zipped(lines))
    record = HistoryFile(file.path, *series, file.start_ms, file.end_ms, "loaded", read_ms=READ)
    return Lines(path, archive_of(venue).format(series), record)


def altered(line: bytes, **values: str) -> bytes:
    names = [column.name for column in ordered(by_table(TRADES.table))]
    fields = line.decode().split("\t")
    for name, value in values.items():
        fields[names.index(name)] = value
    return "\t".join(fields).encode()


@pytest.fixture
def file(tmp_path: Path) -> Lines:
    return lines_of(tmp_path, spot_trades(START, 100, 50, step_ms=600_000))


def read(file: Lines, prefix: tuple[str, ...] = ("BTCUSDT",)) -> list[bytes]:
    return [line for _, batch in file.batches(prefix, WHOLE) for line in batch]


def outcome(file: Lines, stored: list[bytes], prefix: tuple[str, ...] = ("BTCUSDT",)) -> Outcome:
    return compare(file, Cassandra(stored), prefix, WHOLE)


def test_a_trade_is_read_with_all_of_its_digits(tmp_path: Path) -> None:
    (line,) = read(lines_of(tmp_path, ["5,95000.10000000,0.00100000,10,12,1772668800123456,True,True"]))

    version = archive_version(READ)
    assert line.decode().split("\t") == [
        "BTCUSDT", "1772668800123", "5", str(version), "95000.10000000", "0.00100000", "10", "12", "t", str(READ),
    ]  # fmt: skip


def test_a_candle_is_read_as_the_closed_one_that_is_stored(tmp_path: Path) -> None:
    (line,) = read(lines_of(tmp_path, spot_klines(START, 1), MINUTES), ("BTCUSDT", "1m"))
    stream = by_table("klines")
    values = dict(zip([column.name for column in ordered(stream)], line.decode().split("\t"), strict=True))

    assert (values["interval"], values["closed"], values["close_time"]) == ("1m", "t", str(START + 59_999))
    assert values["event_time"] == values["received_at"] == str(READ)


def test_header_lines_and_repeated_lines_are_no_rows(tmp_path: Path) -> None:
    lines = [f"{number},1.5,2,{number},{number},{START + number},true" for number in (1, 2)]
    file = lines_of(tmp_path, [HEADER, lines[0], lines[0], lines[1]], venue="binance-usdm")

    assert len(read(file)) == 2


def test_a_file_whose_rows_are_all_stored_is_proven(file: Lines) -> None:
    found = outcome(file, read(file))

    assert found.proven
    assert (found.rows, found.reason) == (50, "")


def test_one_digit_that_differs_is_found(file: Lines) -> None:
    stored = read(file)
    stored[20] = altered(stored[20], price="1.5")

    found = outcome(file, stored)

    assert not found.proven
    assert found.different == 1
    assert "trade_id=120" in found.reason


def test_a_row_that_is_missing_is_found(file: Lines) -> None:
    stored = read(file)
    del stored[30:32]

    found = outcome(file, stored)

    assert (found.missing, found.proven) == (2, False)
    assert found.reason.startswith("2 missing in Cassandra; the first is symbol=BTCUSDT")


def test_a_partition_without_any_row_is_found(file: Lines) -> None:
    assert outcome(file, []).missing == 50


def test_rows_that_only_live_capture_has_are_counted_and_no_fault(file: Lines) -> None:
    stored = read(file)
    live = altered(stored[0], trade_id="99", version=str(START * 1000))

    found = outcome(file, [*stored, live])

    assert found.proven
    assert found.extra == 1


def test_trades_that_go_back_in_time_over_an_hour_are_of_their_own_hour(tmp_path: Path) -> None:
    """The ids rise, and an exchange's clocks differ by some milliseconds."""
    times = [3_599_998, 3_600_000, 3_599_999, 3_600_001]
    file = lines_of(tmp_path, [line for at, ms in enumerate(times) for line in spot_trades(START + ms, 100 + at, 1)])
    live = altered(read(file)[0], trade_id="99", version=str(START * 1000))

    found = outcome(file, [*read(file), live])

    assert (found.unexpected, found.missing, found.extra) == (0, 0, 1)
    assert found.proven


def test_rows_of_an_archive_that_the_file_has_not_are_a_fault(file: Lines) -> None:
    stored = read(file)

    found = outcome(file, [*stored, altered(stored[0], trade_id="99")])

    assert (found.unexpected, found.proven) == (1, False)


def test_a_newer_reading_of_the_same_values_is_no_difference(file: Lines) -> None:
    stored = read(file)
    newer = {"version": str(archive_version(READ + 5)), "received_at": str(READ + 5)}

    assert outcome(file, [altered(stored[0], **newer), *stored[1:]]).proven
    assert not outcome(file, [altered(stored[0], **newer, quantity="7"), *stored[1:]]).proven


def test_an_older_version_is_a_difference(file: Lines) -> None:
    stored = read(file)

    assert outcome(file, [altered(stored[0], version=str(START * 1000)), *stored[1:]]).different == 1


def test_nothing_compared_is_not_proven(tmp_path: Path) -> None:
    empty = lines_of(tmp_path, [])

    assert not outcome(empty, []).proven
    assert outcome(empty, []).reason == "nothing was compared"


def test_a_partition_may_be_read_in_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptocdc_verifier.archived._BATCH", 7)
    file = lines_of(tmp_path, spot_trades(START, 100, 50, step_ms=100_000))  # an hour has 36
    stored = read(file)
    assert [len(batch) for _, batch in file.batches(("BTCUSDT",), WHOLE)] == [7] * 5 + [1] + [7, 7]

    assert outcome(file, stored).proven
    found = outcome(file, [altered(stored[20], price="1.00000000") if at == 20 else line
                           for at, line in enumerate(stored)])  # fmt: skip
    assert (found.missing, found.different, found.unexpected, found.extra) == (0, 1, 0, 0)
