"""The public archive of the simulated venues: its files say what REST says, to the digit, with faults on request."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse

from cryptocdc_simulator.app import Exchange, Settings, exchanges
from cryptocdc_simulator.archive.faults import KINDS
from cryptocdc_simulator.market.market import EPOCH_MS

from .clients import rest_client
from .conftest import NOON, ManualClock

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
YESTERDAY = NOON - NOON % DAY_MS - DAY_MS
"""2026-05-31."""
SPOT, FUTURES = "data/spot", "data/futures/um"


class Client:
    """GETs files of one venue's archive below `folder`."""

    def __init__(self, exchange: Exchange, folder: str) -> None:
        assert exchange.archive is not None
        self.exchange, self._archive, self._folder = exchange, exchange.archive, folder
        self.rest = rest_client(exchange.dialect, exchange.faults)

    def get(self, path: str) -> tuple[int, bytes]:
        scope = {"type": "http", "method": "GET", "headers": [], "path_params": {"file": path}}
        response = asyncio.run(self._archive(Request(scope)))
        if isinstance(response, FileResponse):
            return response.status_code, Path(response.path).read_bytes()
        return response.status_code, bytes(response.body)

    def rows(self, path: str) -> list[list[str]]:
        status, body = self.get(path)
        assert status == 200, body
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            (member,) = archive.namelist()
            assert member == path.rpartition("/")[2].replace(".zip", ".csv")
            return list(csv.reader(archive.read(member).decode().splitlines()))

    def fault(self, file: str, kind: str, **rows: int) -> None:
        parameters = QueryParams({"file": file, "kind": kind, **{name: str(value) for name, value in rows.items()}})
        self.exchange.dialect.faults["archive"](parameters)


@pytest.fixture
def venues(clock: ManualClock) -> Iterator[dict[str, Exchange]]:
    served = {exchange.dialect.name: exchange for exchange in exchanges(Settings(seed=7, symbols=2, rate=0.001), clock)}
    yield served
    for exchange in served.values():
        if exchange.archive is not None:
            exchange.archive.close()


@pytest.fixture
def spot(venues: dict[str, Exchange]) -> Client:
    return Client(venues["binance"], SPOT)


@pytest.fixture
def futures(venues: dict[str, Exchange]) -> Client:
    return Client(venues["binance-usdm"], FUTURES)


def aggregates(client: Client, base: str, start: int, end: int) -> list[Any]:
    """Return all aggregate trades with start <= time < end that REST has."""
    found: list[Any] = []
    query = f"startTime={start}&endTime={end - 1}"
    while True:
        _, page, _ = client.rest(f"{base}aggTrades?symbol=BTCUSDT&limit=1000&{query}")
        page = [trade for trade in page if trade["T"] < end]
        found += page
        if len(page) < 1000:
            return found
        query = f"fromId={page[-1]['a'] + 1}"


def test_a_day_of_spot_trades_is_what_rest_says_in_microseconds_without_a_header(spot: Client) -> None:
    rows = spot.rows("daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-05-31.zip")
    assert rows == [
        [str(t["a"]), t["p"], t["q"], str(t["f"]), str(t["l"]), str(t["T"] * 1000), str(t["m"]), "True"]
        for t in aggregates(spot, "/api/v3/", YESTERDAY, YESTERDAY + DAY_MS)
    ]
    assert len(rows) > 10_000


def test_a_day_of_futures_trades_is_what_rest_says_in_milliseconds_below_a_header(futures: Client) -> None:
    header, *rows = futures.rows("daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-05-31.zip")
    assert ",".join(header) == "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    assert rows == [
        [str(t["a"]), t["p"], t["q"], str(t["f"]), str(t["l"]), str(t["T"]), str(t["m"]).lower()]
        for t in aggregates(futures, "/fapi/v1/", YESTERDAY, YESTERDAY + DAY_MS)
    ]


def test_raw_trades_are_what_rest_says(spot: Client) -> None:
    rows = spot.rows("daily/trades/ETHUSDT/ETHUSDT-trades-2026-05-31.zip")
    _, answer, _ = spot.rest(f"/api/v3/historicalTrades?symbol=ETHUSDT&fromId={rows[0][0]}&limit=1000")
    assert len(answer) == 1000
    assert rows[:1000] == [
        [
            *(str(t["id"]), t["price"], t["qty"], t["quoteQty"], str(t["time"] * 1000)),
            *(str(t["isBuyerMaker"]), str(t["isBestMatch"])),
        ]
        for t in answer
    ]
    assert [int(row[0]) for row in rows] == list(range(int(rows[0][0]), int(rows[-1][0]) + 1))


@pytest.mark.parametrize("interval", ["1m", "1h", "1d"])
def test_candles_are_what_rest_says_once_they_have_closed(spot: Client, futures: Client, interval: str) -> None:
    for client, base, unit in ((spot, "/api/v3/", 1000), (futures, "/fapi/v1/", 1)):
        rows = client.rows(f"daily/klines/BTCUSDT/{interval}/BTCUSDT-{interval}-2026-05-31.zip")
        if unit == 1:
            assert rows.pop(0)[:7] == ["open_time", "open", "high", "low", "close", "volume", "close_time"]
        query = f"symbol=BTCUSDT&interval={interval}&limit=1000"
        expected = [
            kline
            for start in (YESTERDAY, YESTERDAY + DAY_MS // 2)
            for kline in client.rest(f"{base}klines?{query}&startTime={start}&endTime={start + DAY_MS // 2 - 1}")[1]
        ]
        assert [[*row[:6], str((int(row[6]) + 1) // unit - 1), *row[7:]] for row in rows] == [
            [str(kline[0] * unit), *map(str, kline[1:])] for kline in expected
        ]


def test_a_spot_candle_closes_a_microsecond_before_the_next_one_opens(spot: Client) -> None:
    rows = spot.rows("daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-05-31.zip")
    assert [int(row[6]) + 1 for row in rows[:-1]] == [int(row[0]) for row in rows[1:]]
    assert len(rows) == 1440


def test_the_files_of_a_months_days_are_the_months_file(spot: Client) -> None:
    month = spot.rows("monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2026-05.zip")
    days = [
        row for day in range(1, 32) for row in spot.rows(f"daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-05-{day:02}.zip")
    ]
    assert month == days


@pytest.mark.parametrize(
    ("path", "since"),
    [
        ("daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-05-31.zip", YESTERDAY + DAY_MS),
        ("monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-05.zip", YESTERDAY + DAY_MS),
        # The week of 25 May ends with the month, that of 27 April does not: 1 May was a Friday.
        ("monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2026-05.zip", YESTERDAY + DAY_MS),
        ("monthly/klines/BTCUSDT/1w/BTCUSDT-1w-2026-04.zip", YESTERDAY - 27 * DAY_MS),
        ("monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2026-05.zip", YESTERDAY + DAY_MS),
    ],
)
def test_a_file_appears_when_its_period_and_its_candles_have_ended(
    spot: Client, clock: ManualClock, path: str, since: int
) -> None:
    for clock.now, status in ((since - 1, 404), (since, 200)):
        assert spot.get(path)[0] == status
        assert spot.get(path + ".CHECKSUM")[0] == status


@pytest.mark.parametrize(
    "path",
    [
        "daily/klines/NOSUCH/1m/NOSUCH-1m-2026-05-31.zip",
        "daily/klines/BTCUSDT/1m/ETHUSDT-1m-2026-05-31.zip",
        "daily/klines/BTCUSDT/1m/BTCUSDT-5m-2026-05-31.zip",
        "daily/klines/BTCUSDT/7m/BTCUSDT-7m-2026-05-31.zip",
        "daily/klines/BTCUSDT/1w/BTCUSDT-1w-2026-05-31.zip",
        "monthly/klines/BTCUSDT/1M/BTCUSDT-1M-2026-04.zip",
        "daily/klines/BTCUSDT/BTCUSDT-klines-2026-05-31.zip",
        "daily/aggTrades/BTCUSDT/BTCUSDT-trades-2026-05-31.zip",
        "daily/trades/BTCUSDT/BTCUSDT-trades-2026-05.zip",
        "daily/trades/BTCUSDT/BTCUSDT-trades-2026-02-30.zip",
        "daily/trades/BTCUSDT/BTCUSDT-trades-2025-12-31.zip",  # before the listing
        "daily/trades/BTCUSDT/BTCUSDT-trades-2026-06-01.zip",  # today
    ],
)
def test_there_is_no_other_file(spot: Client, path: str) -> None:
    assert spot.get(path)[0] == 404


def test_a_symbol_has_files_from_its_listing_to_its_delisting(
    spot: Client, venues: dict[str, Exchange], clock: ManualClock
) -> None:
    market = venues["binance"].dialect.market
    assert market is not None
    market.delist("ETHUSDT")
    clock.now += 2 * DAY_MS
    last = spot.rows("daily/klines/ETHUSDT/1h/ETHUSDT-1h-2026-06-01.zip")
    assert len(last) == 13
    assert spot.get("daily/klines/ETHUSDT/1h/ETHUSDT-1h-2026-06-02.zip")[0] == 404
    first = spot.rows("daily/trades/BTCUSDT/BTCUSDT-trades-2026-01-01.zip")[0]
    assert (first[0], int(first[4]) // 1000 >= EPOCH_MS) == ("0", True)


FILE = "BTCUSDT-1h-2026-05-31.zip"
PATH = f"daily/klines/BTCUSDT/1h/{FILE}"


def checksum(client: Client) -> str:
    digest, name = client.get(PATH + ".CHECKSUM")[1].decode().rstrip("\n").split("  ")
    assert name == FILE
    return digest


def test_the_checksum_is_that_of_the_file_and_the_same_bytes_are_made_again(
    spot: Client, venues: dict[str, Exchange]
) -> None:
    before = spot.get(PATH)[1]
    assert checksum(spot) == hashlib.sha256(before).hexdigest()
    assert venues["binance"].archive is not None
    venues["binance"].archive.close()
    assert spot.get(PATH)[1] == before


def _truncated(client: Client, _: list[list[str]]) -> bool:
    body = client.get(PATH)[1]
    return not zipfile.is_zipfile(io.BytesIO(body)) and checksum(client) == hashlib.sha256(body).hexdigest()


FAULTS: dict[str, Callable[[Client, list[list[str]]], bool]] = {
    "missing": lambda client, _: client.get(PATH)[0] == 404 and client.get(PATH + ".CHECKSUM")[0] == 200,
    "unavailable": lambda client, _: client.get(PATH)[0] == 503,
    "page": lambda client, _: client.get(PATH)[1].startswith(b"<html>"),
    "wrong-checksum": lambda client, _: checksum(client) != hashlib.sha256(client.get(PATH)[1]).hexdigest(),
    "truncated": _truncated,
    "empty": lambda client, _: client.rows(PATH) == [],
    "hole": lambda client, rows: client.rows(PATH) == rows[:3] + rows[5:],
    "repeated": lambda client, rows: client.rows(PATH)[3:7] == [rows[3], rows[3], rows[4], rows[4]],
    "fields": lambda client, rows: [len(row) for row in client.rows(PATH)[2:6]] == [12, 13, 13, 12],
    "milliseconds": lambda client, rows: [row[0] + "000" for row in client.rows(PATH)] == [row[0] for row in rows],
    "microseconds": lambda client, rows: client.rows(PATH) == rows,
    "header": lambda client, rows: client.rows(PATH)[0][0] == "open_time" and client.rows(PATH)[1:] == rows,
    "no-header": lambda client, rows: client.rows(PATH) == rows,
    "republished": lambda client, rows: client.rows(PATH) == rows,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_one_file_is_there_until_it_is_cleared(spot: Client, kind: str) -> None:
    rows, digest = spot.rows(PATH), checksum(spot)
    spot.fault(FILE, kind, row=3, count=2)
    assert FAULTS[kind](spot, rows)
    same = kind in ("missing", "unavailable", "page", "microseconds", "no-header")
    assert (checksum(spot) == digest) == same
    spot.exchange.faults.clear()
    assert (spot.rows(PATH), checksum(spot)) == (rows, digest)


def test_futures_files_can_lack_their_header_and_have_microseconds(futures: Client) -> None:
    rows = futures.rows(PATH)
    futures.fault(FILE, "no-header")
    futures.fault(FILE, "microseconds")
    assert [row[0] for row in futures.rows(PATH)] == [row[0] + "000" for row in rows[1:]]


def test_every_fault_is_tested() -> None:
    tested_elsewhere = {"cut", "early"}  # `cut` needs a server: tests/integration/test_simulator_archive.py
    assert set(KINDS) == {*FAULTS, *tested_elsewhere}


def test_a_file_can_be_there_early_with_the_rows_so_far(spot: Client, clock: ManualClock) -> None:
    today, day = "BTCUSDT-trades-2026-06-01.zip", "daily/trades/BTCUSDT/BTCUSDT-trades-2026-06-01.zip"
    assert spot.get(day)[0] == 404
    spot.fault(today, "early")
    morning = spot.rows(day)
    assert max(int(row[4]) for row in morning) <= clock.now * 1000
    clock.now += HOUR_MS
    assert spot.rows(day) == morning, "its checksum, requested before it, stays true"
    spot.fault(today, "early")
    later = spot.rows(day)
    assert later[: len(morning)] == morning
    assert len(later) > len(morning)


@pytest.mark.parametrize(
    ("file", "kind", "rows", "problem"),
    [
        (FILE, "nonsense", {}, "accepted: missing"),
        ("BTCUSDT-1h-2026-05-31.csv", "hole", {}, "a name that ends with .zip"),
        (FILE + ".CHECKSUM", "hole", {}, "a name that ends with .zip"),
        (FILE, "hole", {"row": -1}, "a row from 0 on"),
        (FILE, "hole", {"count": 0}, "a count from 1 on"),
    ],
)
def test_an_invalid_fault_is_refused(spot: Client, file: str, kind: str, rows: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        spot.fault(file, kind, **rows)
