"""The archive of Binance: where its files are, and what their lines become."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.archive_files import DAY, HEADER, archive_of, file_of, spot_klines, spot_trades

from cryptocdc_core.feed.model import CryptoFeed, parse
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import KlinesRow, RecentTradesRow
from cryptocdc_core.rows.versions import Rank, archive_version, kline_version, version
from cryptocdc_exchanges.archive_lines import BadLine, Found, rows
from cryptocdc_exchanges.port import Period, Series
from cryptocdc_exchanges.registry import VENUES, simulated, venue_of

READ = 1_800_000_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NEW, OLD = at("2026-03-05"), at("2024-03-05")
SECOND = str((NEW + 1000) * 1000 + 7)
"""The time of the second trade that `spot_trades` makes."""
TRADES = Series("recent_trades", "BTCUSDT", "aggregate")
RAW = Series("recent_trades", "BTCUSDT", "trade")
MINUTES = Series("klines", "BTCUSDT", "1m")


def read(
    lines: list[str], series: Series = TRADES, start: int = NEW, venue: str = "binance"
) -> tuple[list[Any], Found]:
    found = Found()
    form = archive_of(venue).format(series)
    file = file_of(series, start, venue=venue)
    return list(rows(form, file, [f"{line}\n" for line in lines], READ, found)), found


@pytest.mark.parametrize(
    ("venue", "series", "period", "path"),
    [
        ("binance", TRADES, Period.MONTH, "/data/spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-03.zip"),
        ("binance", TRADES, Period.DAY, "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-03-05.zip"),
        ("binance", RAW, Period.DAY, "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-03-05.zip"),
        (
            "binance", Series("recent_trades", "币安人生USDT", "aggregate"), Period.DAY,
            "/data/spot/daily/aggTrades/币安人生USDT/币安人生USDT-aggTrades-2026-03-05.zip",
        ),
        ("simulated", MINUTES, Period.DAY, "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-03-05.zip"),
        (
            "binance", Series("klines", "BTCUSDT", "1M"), Period.MONTH,
            "/data/spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2026-03.zip",
        ),
        (
            "binance-usdm", MINUTES, Period.MONTH,
            "/data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-03.zip",
        ),
    ],
)  # fmt: skip
def test_a_file_is_where_the_exchange_documents_it(venue: str, series: Series, period: Period, path: str) -> None:
    start = period.floor(NEW)
    file = file_of(series, start, period, venue)

    assert (file.path, file.start_ms, file.end_ms) == (path, start, period.next(start))
    assert archive_of(venue).checksum_path(file) == f"{path}.CHECKSUM"


@pytest.mark.parametrize("interval", ["3d", "1w", "1M"])
def test_long_candles_have_only_monthly_files(interval: str) -> None:
    assert archive_of("binance").file(Series("klines", "BTCUSDT", interval), Period.DAY, NEW) is None


def test_a_spot_trade_becomes_the_row_that_rest_would_have_given_with_the_archive_s_rank() -> None:
    found, _ = read(["5,95000.10000000,0.00100000,10,12,1772668800123456,True,True"])

    assert found == [
        RecentTradesRow(
            symbol="BTCUSDT", trade_time=1_772_668_800_123, trade_id=5, price="95000.10000000", quantity="0.00100000",
            first_trade_id=10, last_trade_id=12, buyer_is_maker=True, received_at=READ,
            version=version(READ, Rank.ARCHIVE),
        )
    ]  # fmt: skip


def test_a_raw_trade_is_its_own_first_and_last() -> None:
    (row,), _ = read(["7,1.5,2,3.0,1772668800123456,False,True"], RAW)

    assert (row.trade_id, row.first_trade_id, row.last_trade_id, row.buyer_is_maker) == (7, 7, 7, False)


def test_a_candle_is_closed_and_keeps_all_digits() -> None:
    (row, _), _ = read(spot_klines(NEW, 2), MINUTES)

    assert isinstance(row, KlinesRow)
    assert row.closed
    assert (row.open_time, row.close_time) == (NEW, NEW + 59_999)
    assert (row.open, row.quote_volume, row.trade_count) == ("95000.10000000", "142500.00000000", 0)


def test_the_archive_replaces_what_was_captured_and_requested_before_it_was_read() -> None:
    end = READ - 3 * DAY

    assert archive_version(READ) > kline_version(READ, end, Rank.FINAL) > kline_version(end, end, Rank.CLOSED)
    assert archive_version(READ) > version(end)
    assert archive_version(READ + 1) > archive_version(READ), "a file that is published again"


def test_old_files_have_milliseconds() -> None:
    (row,), _ = read([f"5,1,1,10,12,{OLD + 5},True,True"], start=OLD)

    assert row.trade_time == OLD + 5


@pytest.mark.parametrize("header", [True, False])
def test_files_of_futures_are_read_with_and_without_a_header_line(header: bool) -> None:
    lines = [f"{number},1.5,2,{number},{number},{NEW + number},true" for number in (1, 2)]
    found, count = read([HEADER, *lines] if header else lines, venue="binance-usdm")

    assert [row.trade_id for row in found] == [1, 2]
    assert (count.rows, count.first, count.last) == (2, 1, 2)


def test_a_hole_in_the_ids_is_named() -> None:
    lines = spot_trades(NEW, 100, 10)
    _, found = read(lines[:3] + lines[5:7] + lines[8:])

    assert found.holes == [(103, 104), (107, 107)]
    assert (found.rows, found.missing, found.first, found.last) == (7, 3, 100, 109)


def test_a_candle_that_is_missing_is_named_by_its_open_time() -> None:
    lines = spot_klines(NEW, 10)
    _, found = read(lines[:3] + lines[5:], MINUTES)

    assert found.holes == [(NEW + 180_000, NEW + 240_000)]
    assert found.missing == 2


def test_a_candle_may_close_before_the_end_of_its_interval() -> None:
    first, second = spot_klines(NEW, 2)
    early = first.replace(str((NEW + 60_000) * 1000 - 1), str((NEW + 30_000) * 1000))
    found, count = read([early, second], MINUTES)

    assert found[0].close_time == NEW + 30_000
    assert count.missing == 0


def test_a_repeated_line_is_one_row() -> None:
    lines = spot_trades(NEW, 100, 3)
    found, count = read([lines[0], lines[1], lines[1], lines[2]])

    assert len(found) == count.rows == 3
    assert count.repeated == 1


MONTH_OF_CANDLES = Series("klines", "BTCUSDT", "1M")


def test_a_repeated_candle_of_a_month_is_one_row() -> None:
    start = at("2026-03-01")
    line = f"{start * 1000},1,2,0.5,1.5,10,{(start + 31 * DAY) * 1000 - 1},12,3,4,5,0\n"
    found = Found()
    form, file = archive_of("binance").format(MONTH_OF_CANDLES), file_of(MONTH_OF_CANDLES, start, Period.MONTH)

    assert len(list(rows(form, file, [line, line], READ, found))) == 1
    assert found.repeated == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda line: line + ",0", "line 2: 9 fields instead of 8"),
        (lambda line: line.rpartition(",")[0], "line 2: 7 fields instead of 8"),
        (lambda line: line.replace("95001.11000000", "95e3"), "line 2: price '95e3' is not accepted; accepted: digits"),
        (lambda line: line.replace("101,", "x,", 1), "line 2: trade_id 'x' is not accepted; accepted: a whole number"),
        (lambda line: line.replace("False", "no"), "buyer_is_maker 'no' is not accepted; accepted: true or false"),
        (lambda _: "", "line 2: an empty line"),
        (lambda line: line.replace("101,", "99,", 1), "line 2: trade_id 99 follows 100; accepted: a greater one"),
        (lambda line: line.replace("101,", "100,", 1), "line 2: trade_id 100 follows 100"),
        (
            lambda line: line.replace(SECOND, f"{NEW + DAY}"),
            "trade_time 2026-03-06T00:00:00.000Z is not within the file",
        ),
        (lambda line: line.replace(SECOND, SECOND[:10]), "13 digits for milliseconds, or 16 for microseconds"),
    ],
)
def test_a_line_that_can_not_be_a_row_is_refused_by_its_number(change: Callable[[str], str], problem: str) -> None:
    lines = spot_trades(NEW, 100, 3)
    lines[1] = change(lines[1].replace("True,True", "False,True"))

    with pytest.raises(BadLine) as refused:
        read(lines)

    assert problem in str(refused.value)


def test_a_candle_that_begins_within_an_interval_is_refused() -> None:
    with pytest.raises(BadLine, match=r"line 1: open_time 2026-03-05T00:00:30\.000Z is not the beginning of a candle"):
        read(spot_klines(NEW + 30_000, 1), MINUTES)


def test_a_checksum_is_the_digest_in_front_of_the_file_s_name() -> None:
    digest = "0123456789abcdef" * 4

    assert archive_of("binance").checksum(f"{digest.upper()}  BTCUSDT-1m-2026-03.zip\n".encode()) == digest
    assert archive_of("binance").checksum(b"<html>") is None


def test_a_feed_s_streams_have_the_series_that_the_archive_publishes() -> None:
    streams = Streams.model_validate(
        {"recentTrades": {"kind": "trade"}, "klines": {"intervals": ["1m", "1h"]}, "orderBook": {}}
    )

    assert [series.kind for series in archive_of("binance").series(streams, "BTCUSDT")] == ["trade", "1m", "1h"]


def feed(exchange: str, archive: str | None = None) -> CryptoFeed:
    return parse(
        {
            "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "past"},
            "spec": {
                "exchange": exchange, "symbols": {"names": ["BTCUSDT"]}, "streams": {"klines": {"intervals": ["1m"]}},
                "endpoints": {"archive": archive},
            },
        }
    )  # fmt: skip


def test_a_feed_may_name_another_host_of_the_archive() -> None:
    assert venue_of(feed("binance")).hosts.archive == "https://data.binance.vision"
    assert venue_of(feed("binance", "http://127.0.0.1:9/mirror/")).hosts.archive == "http://127.0.0.1:9/mirror"


def test_the_simulator_s_archive_is_at_the_simulator() -> None:
    here = ("http://127.0.0.1:8091", "ws://127.0.0.1:8091")

    assert simulated(feed("simulated"), *here).hosts.archive == "http://127.0.0.1:8091"
    assert simulated(feed("binance"), *here).hosts.archive == "http://127.0.0.1:8091"
    assert simulated(feed("binance-usdm"), *here).hosts.archive == "http://127.0.0.1:8091/binance-usdm"


@pytest.mark.parametrize("name", ["binance-us", "okx", "coinbase"])
def test_other_venues_have_no_archive(name: str) -> None:
    assert VENUES[name].archive is None
