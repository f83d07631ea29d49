"""A time range fetched over REST: refused rows are counted, and do not stop it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, NOW, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Request
from cryptocdc_producer.rest.history import Fetched, History
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Data, Intake
from cryptocdc_producer.storage.store import Stored

MINUTE, HOUR = 60_000, 3_600_000
START = 1_511_992_800_000  # 2017-11-29 22:00:00 UTC
CANDLES = 3_624


def candle(number: int, **changed: Any) -> list[Any]:
    at = START + number * HOUR
    row = {
        "t": at, "o": "1.0", "h": "2.0", "l": "0.5", "c": "1.5", "v": "10.0", "T": at + HOUR - 1, "q": "12.0", "n": 3,
        "V": "4.0", "Q": "5.0", "B": "0", **changed,
    }  # fmt: skip
    return list(row.values())


def trade(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "a": number, "p": "1.0", "q": "1.0", "f": number * 2, "l": number * 2 + 1, "T": START + number * 1000,
        "m": True, "M": True, **changed,
    }  # fmt: skip


class Rest:
    """An exchange that has `candles` and `trades`, and returns at most `most` of them in a response."""

    def __init__(
        self, candles: list[list[Any]] | None = None, trades: list[dict[str, Any]] | None = None, most: int = 1000
    ) -> None:
        self._candles, self._trades, self._most = candles or [], trades or [], most
        self.requests = 0
        self.venue = BINANCE

    def get(self, request: Request[Any], _: float) -> bytes:
        path, asked = request.path.removeprefix("/api/v3/"), request.params
        limit = int(asked["limit"])
        self.requests += 1
        assert self.requests < 100, "the same page is requested forever"
        found: list[Any]
        if path == "klines":
            found = [candle for candle in self._candles if candle[0] >= asked["startTime"]]
        else:
            first, at = int(asked.get("fromId", 0)), int(asked.get("startTime", 0))
            found = [trade for trade in self._trades if trade["a"] >= first and trade["T"] >= at]
        return json.dumps(found[: min(limit, self._most)]).encode()

    def stop(self) -> None:
        """Does nothing, since nothing waits."""


class WrongAfterFirst(Rest):
    """Its first page of trades, after the request for the first one, has an element whose id is `wrong`."""

    def __init__(self, trades: list[dict[str, Any]], wrong: int) -> None:
        super().__init__(trades=trades)
        self._wrong = wrong

    def get(self, request: Request[Any], share: float) -> bytes:
        found = json.loads(super().get(request, share))
        if self.requests == 2:
            found[500] = {**found[500], "a": self._wrong, "p": "1.2.3"}
        return json.dumps(found).encode()


def fetched(rest: Rest, to_ms: int, interval: str = "") -> tuple[Fetched, list[Any], list[str]]:
    """Fetch klines of `interval`, or trades; return the result, the rows, and the reasons for refusals."""
    refused: list[str] = []

    async def scenario() -> tuple[Fetched, list[Any]]:
        metrics = ProducerMetrics("test")
        intake = Intake(metrics)
        requests = Requests(rest, metrics, lambda reason, *_: refused.append(reason))  # type: ignore[arg-type]
        history = History(make_feed(), BINANCE, "BTCUSDT", Stored(), requests, intake, lambda *_: None)
        try:
            found = await (history.klines(interval, START, to_ms) if interval else history.trades(START, to_ms))
        finally:
            requests.close()
        intake.close()
        rows: list[Any] = []
        while not intake.done:
            rows += [entry.row for entry in intake.take(0.01) if isinstance(entry, Data)]
        return found, rows

    return *asyncio.run(scenario()), refused


@pytest.mark.parametrize("odd", [(3, 500, 998), (997, 998, 999), (0, 1, 2), (1000, 2000, 3623)])
def test_refused_candles_do_not_stop_the_fetching_of_the_rest(odd: tuple[int, ...]) -> None:
    candles = [candle(n, **({"c": "1.2.3"} if n in odd else {})) for n in range(CANDLES)]

    found, rows, refused = fetched(Rest(candles), START + CANDLES * HOUR, "1h")

    assert found == Fetched(rows=3_621, refused=3)
    assert [row.open_time for row in rows] == [START + n * HOUR for n in range(CANDLES) if n not in odd]
    assert refused == ["wrong-decimal"] * 3


def test_a_page_of_refused_candles_does_not_stop_the_fetching_of_the_rest() -> None:
    odd = range(1000, 2000)
    candles = [candle(n, **({"v": None} if n in odd else {})) for n in range(CANDLES)]

    found, rows, _ = fetched(Rest(candles), START + CANDLES * HOUR, "1h")

    assert found == Fetched(rows=2_624, refused=1_000)
    assert rows[-1].open_time == START + (CANDLES - 1) * HOUR


def test_unreadable_candles_are_skipped() -> None:
    candles: list[Any] = [candle(n) for n in range(CANDLES)]

    class Unreadable(Rest):
        def get(self, request: Request[Any], share: float) -> bytes:
            if self.requests == 1:
                self.requests += 1
                return json.dumps([["?"]] * 1000).encode()
            return super().get(request, share)

    found, _, _ = fetched(Unreadable(candles), START + CANDLES * HOUR, "1h")

    assert found == Fetched(rows=2_624, refused=1_000)


@pytest.mark.parametrize("wrong", [2**60, -5])
def test_an_invalid_id_does_not_stop_the_fetching_of_the_rest(wrong: int) -> None:
    found, rows, _ = fetched(WrongAfterFirst([trade(n) for n in range(3000)], wrong), START + 2500 * 1000)

    assert found == Fetched(rows=2499, refused=1)
    assert rows[-1].trade_id == 2499


@pytest.mark.parametrize("wrong", [2**60, -5])
def test_an_invalid_open_time_does_not_stop_the_fetching_of_the_rest(wrong: int) -> None:
    candles = [candle(n) for n in range(CANDLES)]

    class Wrong(Rest):
        def get(self, request: Request[Any], share: float) -> bytes:
            found = json.loads(super().get(request, share))
            if self.requests == 1:
                found[-1] = [wrong, *found[-1][1:]]
            return json.dumps(found).encode()

    found, _, refused = fetched(Wrong(candles), START + CANDLES * HOUR, "1h")

    assert found.rows >= CANDLES - 1
    assert refused == ["wrong-field"]


def test_a_short_page_is_not_mistaken_for_the_last_one() -> None:
    found, rows, _ = fetched(Rest([candle(n) for n in range(CANDLES)], most=700), START + CANDLES * HOUR, "1h")

    assert found == Fetched(rows=CANDLES, refused=0)
    assert len(rows) == CANDLES


def test_candles_are_found_after_the_listing_where_a_response_has_only_those_of_its_span() -> None:
    candles = [candle(n) for n in range(2500, CANDLES)]

    class Spans(Rest):
        def get(self, request: Request[Any], share: float) -> bytes:
            found = json.loads(super().get(request, share))
            end = int(request.params["startTime"]) + int(request.params["limit"]) * HOUR
            return json.dumps([candle for candle in found if candle[0] < end]).encode()

    assert fetched(Spans(candles), START + CANDLES * HOUR, "1h")[0] == Fetched(rows=CANDLES - 2500, refused=0)


def test_an_outage_of_the_exchange_for_hours_does_not_stop_fetching() -> None:
    candles = [candle(n) for n in range(100) if not 40 <= n < 60]

    assert fetched(Rest(candles, most=30), START + 100 * HOUR, "1h")[0] == Fetched(rows=80, refused=0)


def test_open_candles_and_those_that_may_still_be_revised_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = START + 5 * HOUR
    monkeypatch.setattr("cryptocdc_producer.rest.requests.time.time_ns", lambda: (at + 4_000) * 1_000_000)
    rest = Rest([candle(n) for n in range(6)])

    found, rows, _ = fetched(rest, at + HOUR, "1h")

    assert found == Fetched(rows=4, refused=0)
    assert [row.closed for row in rows] == [True] * 4
    assert rest.requests == 2


@pytest.mark.parametrize("odd", [(0,), (999,), (5, 6, 7), tuple(range(1000, 2000)), (2499,)])
def test_refused_trades_do_not_stop_the_fetching_of_the_rest(odd: tuple[int, ...]) -> None:
    trades = [trade(n, **({"p": "1.2.3"} if n in odd else {})) for n in range(3000)]

    found, rows, _ = fetched(Rest(trades=trades), START + 2500 * 1000)

    assert found == Fetched(rows=2500 - len(odd), refused=len(odd))
    assert [row.trade_id for row in rows] == [n for n in range(2500) if n not in odd]


def test_a_refused_trade_at_the_end_is_not_requested_forever_where_pages_go_backwards() -> None:
    trades = [trade(n, **({"p": "1.2.3"} if n == 2990 else {})) for n in range(3000)]

    class Backwards(Rest):
        """Its last page begins before the requested id."""

        def get(self, request: Request[Any], share: float) -> bytes:
            if "fromId" not in request.params:
                return super().get(request, share)
            limit = int(request.params["limit"])
            first = min(int(request.params["fromId"]), max(0, len(trades) - limit))
            return super().get(replace(request, params={"fromId": first, "limit": limit}), share)

    found, rows, _ = fetched(Backwards(trades=trades), START + 4000 * 1000)

    assert found.rows == len(rows) == 2999


def test_a_range_whose_first_trade_is_unreadable_starts_with_the_next_one() -> None:
    trades = [trade(0, a="?"), *(trade(n) for n in range(1, 10))]

    class Odd(Rest):
        def get(self, request: Request[Any], _: float) -> bytes:
            asked, limit = request.params, int(request.params["limit"])
            first, at = int(asked.get("fromId", 0)), int(asked.get("startTime", 0))
            found = [t for n, t in enumerate(trades) if n >= first and t["T"] >= at]
            return json.dumps(found[:limit]).encode()

    assert fetched(Odd(), START + 10_000)[0].rows == 9


@pytest.mark.parametrize("begin", [0, 1, 700, 2998, 2999, 3000])
def test_the_first_trade_of_a_range_is_found_by_binary_search_over_ids(begin: int) -> None:
    class ById(Rest):
        """It returns one of the last trades."""

        def get(self, request: Request[Any], share: float) -> bytes:
            newest = "fromId" not in request.params
            found = json.loads(super().get(replace(request, params={"fromId": 2999, **request.params}), share))
            return json.dumps(found[-1:] if newest else found).encode()

    rest = ById(trades=[trade(n) for n in range(3000)])
    of_binance = {name: getattr(BINANCE.requests, name) for name in ("page", "trades")}
    rest.venue = replace(BINANCE, requests=SimpleNamespace(**of_binance, first_trade=lambda *_: None))

    async def searched() -> int | None:
        requests = Requests(rest, ProducerMetrics("test"), lambda *_: None)  # type: ignore[arg-type]
        try:
            return await requests.first_trade("BTCUSDT", "aggregate", START + begin * 1000 - 999, 1.0)
        finally:
            requests.close()

    assert asyncio.run(searched()) == (begin if begin < 3000 else None)
    assert rest.requests <= 14


def test_trades_after_the_range_are_neither_stored_nor_counted() -> None:
    trades = [trade(n, **({"p": "1.2.3"} if n == 8 else {})) for n in range(10)]

    assert fetched(Rest(trades=trades), START + 5000)[0] == Fetched(rows=5, refused=0)


def test_nothing_is_fetched_before_the_first_trade() -> None:
    assert fetched(Rest(), NOW)[0] == Fetched()
