"""A symbol that is captured for the first time starts with the past that the feed asks for, a known one does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.producer.conftest import NOW, Recorded, agg_trade, kline, make_capture, make_feed
from tests.unit.producer.rest.test_backfill import Exchange, ids, rows, run

from cryptocdc_adapters.exchange.rest import ExchangeRefused, ExchangeUnreachable
from cryptocdc_core.rows.versions import SETTLE_MS
from cryptocdc_core.time import intervals
from cryptocdc_core.time.times import iso
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.rest import backfill as backfills
from cryptocdc_producer.storage.intake import GapEnd
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import HISTORY, Gap, past_klines
from cryptocdc_producer.streams.klines import Klines

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
KLINES = {"klines": {"intervals": ["1m", "1h"]}}
A_DAY = {"klines": "24h"}


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptocdc_producer.capture.time.time_ns", lambda: NOW * 1_000_000)
    monkeypatch.setattr(backfills, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(backfills, "_RETRIES_S", (0.0, 0.0))


def started(history: dict[str, str] = A_DAY, streams: Any = KLINES, **stored: Stored) -> Recorded:
    return make_capture(make_feed(streams, history=history, symbols={"names": ["BTCUSDT"]}), **stored)


@given(
    st.sampled_from([it for it in (*intervals.LENGTH_MS, "1M") if it != "3d"]),
    st.integers(0, 40 * DAY),
    st.integers(NOW - 400 * DAY, NOW),
)
def test_the_past_has_every_candle_that_opened_in_it_and_is_final(interval: str, past_ms: int, now_ms: int) -> None:
    final = [
        at
        for at in (intervals.opening(interval, now_ms - past_ms), intervals.opening(interval, now_ms - SETTLE_MS))
        if now_ms - past_ms <= at
    ]
    found = past_klines(interval, past_ms, now_ms)
    if found is None:
        first = intervals.opening(interval, now_ms - past_ms)
        while first < now_ms - past_ms:
            first = intervals.following(interval, first)
        assert intervals.end(interval, first) + SETTLE_MS > now_ms
        return
    first, last = found
    assert first == intervals.opening(interval, first) >= now_ms - past_ms
    assert intervals.preceding(interval, first) < now_ms - past_ms
    assert last == intervals.opening(interval, last)
    assert intervals.end(interval, last) + SETTLE_MS <= now_ms < intervals.end(interval, final[-1]) + SETTLE_MS
    assert intervals.following(interval, last) == final[-1]


def test_a_new_symbol_starts_with_a_day_of_candles_of_each_interval() -> None:
    recorded = started()

    found = [
        Gap("klines", "BTCUSDT", "1m", NOW - DAY, NOW - 2 * MINUTE, HISTORY),
        Gap("klines", "BTCUSDT", "1h", NOW - DAY, NOW - 2 * HOUR, HISTORY),
    ]
    assert recorded.gaps == found
    assert recorded.entries() == found
    assert found[0].size == 1439


def test_capture_goes_on_where_the_past_ends() -> None:
    recorded = started(streams={"klines": {"intervals": ["1m"]}})
    recorded.entries()
    recorded.receive(kline(NOW, closed=False))

    assert recorded.gaps[1:] == [Gap("klines", "BTCUSDT", "1m", NOW - MINUTE, NOW - MINUTE)]


def test_a_symbol_that_is_known_does_not_start_again() -> None:
    known = Stored(last_closes={"1m": NOW - MINUTE, "1h": NOW - HOUR})

    assert started(BTCUSDT=known).gaps == []
    assert started(BTCUSDT=Stored(last_closes={"1m": NOW - MINUTE})).gaps == [
        Gap("klines", "BTCUSDT", "1h", NOW - DAY, NOW - 2 * HOUR, HISTORY)
    ]


def test_no_past_is_fetched_unless_wanted() -> None:
    assert started({"klines": "0s"}).gaps == []
    assert started({"klines": "30m"}, {"klines": {"intervals": ["1h", "1d", "1w", "1M", "3d"]}}).gaps == []


def test_where_candles_are_polled_polling_begins_with_the_past() -> None:
    feed = make_feed(
        {"klines": {"source": "rest"}}, exchange="coinbase", symbols={"names": ["BTC-USD"]}, history={"klines": "6h"}
    )
    recorded = make_capture(feed, VENUES["coinbase"])

    assert recorded.gaps == []
    klines = recorded.handlers.by_table["klines"]
    assert isinstance(klines, Klines)
    assert klines.last("BTC-USD", "1m") == NOW - 6 * HOUR - MINUTE


def a_past(first: int, last: int) -> Gap:
    return Gap("klines", "BTCUSDT", "1m", first * MINUTE, last * MINUTE, HISTORY)


class Listed(Exchange):
    """Klines from minute `since` on; of a venue with `spans` only those of the requested span."""

    def __init__(self, since: int, newest: int, spans: bool, page: int = 1000) -> None:
        super().__init__(newest=newest)
        self._since, self._spans, self.page = since, spans, page

    async def klines(self, symbol: str, interval: str, start_ms: int, limit: int, share: float) -> Any:
        start = start_ms // MINUTE
        most = limit - max(0, self._since - start) if self._spans else limit
        if most <= 0:
            return (await super().klines(symbol, interval, self._newest * MINUTE, 1, share))._replace(rows=[])
        return await super().klines(symbol, interval, max(start, self._since) * MINUTE, most, share)


@pytest.mark.parametrize("spans", [False, True])
def test_candles_from_before_a_markets_listing_are_not_missing(spans: bool) -> None:
    entries = run(Listed(since=1_234, newest=3_001, spans=spans, page=100), a_past(1, 3_000))

    assert [row.open_time // MINUTE for row in rows(entries)] == list(range(1_234, 3_001))
    assert entries[-1] == GapEnd(a_past(1, 3_000), "filled", "")


@pytest.mark.parametrize("spans", [False, True])
def test_a_market_that_was_listed_after_its_past_has_none(spans: bool) -> None:
    entries = run(Listed(since=3_100, newest=3_200, spans=spans, page=1000), a_past(1, 3_000))

    assert rows(entries) == []
    assert entries[-1] == GapEnd(a_past(1, 3_000), "filled", "")


def test_a_market_that_is_not_listed_has_no_past() -> None:
    unknown = tuple(ExchangeRefused(-1121, "Invalid symbol.", unknown_symbol=True) for _ in range(5))
    entries = run(Exchange(failures=unknown), a_past(1, 100))

    assert entries == [GapEnd(a_past(1, 100), "filled", "")]


def test_candles_that_the_exchange_lacks_within_the_past_are_unfillable() -> None:
    entries = run(Exchange(newest=101, refused=(50,)), a_past(1, 100))

    assert entries[-1] == GapEnd(a_past(1, 100), "unfillable", "the exchange has 99 of 100, 1 refused")


HOUR_OF_TRADES = {"recentTrades": "1h"}
TRADES: dict[str, Any] = {"recentTrades": {}}


def test_the_past_of_trades_is_a_gap_committed_with_the_first_one_captured() -> None:
    recorded = started(HOUR_OF_TRADES, TRADES)
    assert recorded.entries() == [], "capture waits for no answer about the past"
    recorded.receive(agg_trade(2_600))
    recorded.receive(agg_trade(2_601))

    past = Gap("recent_trades", "BTCUSDT", "", -(NOW - 5 - HOUR), 2_599, HISTORY)
    assert recorded.gaps == [past]
    assert str(past) == f"recent_trades BTCUSDT, those since {iso(NOW - 5 - HOUR)} to 2599"
    gap, *captured = recorded.entries()
    assert gap == past
    assert [row.trade_id for row in rows(captured)] == [2_600, 2_601]


@pytest.mark.parametrize(
    ("history", "feed", "stored"),
    [
        (HOUR_OF_TRADES, TRADES, Stored(last_trade=2_599)),
        ({"klines": "1h"}, TRADES, Stored()),
        (HOUR_OF_TRADES, {"recentTrades": {"kind": "trade"}}, Stored()),
    ],
    ids=["a known symbol", "none is wanted", "the exchange does not return these trades by id"],
)
def test_trades_start_without_a_past(history: dict[str, str], feed: Any, stored: Stored) -> None:
    recorded = started(history, feed, BTCUSDT=stored)
    recorded.receive(agg_trade(2_600) if feed is TRADES else {**agg_trade(), "e": "trade", "t": 2_600})

    assert recorded.gaps == []
    assert len(rows(recorded.entries())) == 1


def test_a_market_that_was_waited_for_has_no_past_but_its_first_trades() -> None:
    recorded = started(HOUR_OF_TRADES, TRADES)
    recorded.trades.expect_first("BTCUSDT", certain=True)
    recorded.receive(agg_trade(40))

    assert recorded.gaps == [Gap("recent_trades", "BTCUSDT", "", 0, 39)]


class Dated(Exchange):
    """Trades with the ids in `has`, each 10 ms after the one before."""

    async def first_trade(self, _: str, __: str, at_ms: int, ___: float) -> int | None:
        self._fail(-at_ms)
        return next((number for number in self._has if number * 10 >= at_ms), None)


def past_of_trades(since_ms: int) -> Gap:
    return Gap("recent_trades", "BTCUSDT", "", -since_ms, 2_599, HISTORY)


@pytest.mark.parametrize("failures", [(), (ExchangeUnreachable("no answer"), ExchangeUnreachable("no answer"))])
def test_the_past_of_trades_begins_with_the_first_one_in_it(failures: tuple[Exception, ...]) -> None:
    past = past_of_trades(12_345)
    entries = run(Dated(range(5_000), failures=failures), past)

    assert ids(entries) == list(range(1_235, 2_600))
    assert entries[-1] == GapEnd(past, "filled", "")


def test_trades_that_the_exchange_lacks_within_the_past_are_unfillable() -> None:
    past = past_of_trades(12_345)
    entries = run(Dated([number for number in range(5_000) if number != 2_000]), past)

    assert entries[-1] == GapEnd(past, "unfillable", "the exchange has 1364 of 1365")


@pytest.mark.parametrize("has", [range(0), range(2_600, 2_700)])
def test_a_past_without_trades_is_filled(has: range) -> None:
    past = past_of_trades(12_345)

    assert run(Dated(has), past) == [GapEnd(past, "filled", "")]
