"""Where USD-M perpetuals differ from the spot market: paths, weights, the chain of books, missing options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.feed.model import FeedError
from cryptocdc_core.names import Names, identity
from cryptocdc_exchanges.port import BookUpdate, Channel
from cryptocdc_exchanges.registry import VENUES, check, venue_of
from cryptocdc_producer.streams.book import Applied, Book

NOW = 1_780_000_000_000
VENUE, SPOT = VENUES["binance-usdm"], VENUES["binance"]
ALL: dict[str, Any] = {
    "recentTrades": {}, "klines": {"intervals": ["1m", "1h"]}, "crypto24hStats": {"source": "websocket"},
    "latestPrices": {}, "orderBook": {},
}  # fmt: skip


def test_books_have_another_path_than_all_other_streams() -> None:
    streams = feed(exchange="binance-usdm", streams=ALL).spec.streams
    assert VENUE.channels.of(streams, "BTCUSDT") == [
        Channel("recent_trades", "btcusdt@aggTrade", "/market/stream"),
        Channel("klines", "btcusdt@kline_1m", "/market/stream"),
        Channel("klines", "btcusdt@kline_1h", "/market/stream"),
        Channel("crypto_24h_stats", "btcusdt@ticker", "/market/stream"),
        Channel("latest_prices", "btcusdt@miniTicker", "/market/stream"),
        Channel("order_book", "btcusdt@depth@100ms", "/public/stream"),
    ]


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://h.example/fapi/v1", "https://h.example"),
        ("https://h.example/fapi/v1/ping", "https://h.example"),
        ("wss://h.example/public/stream", "wss://h.example"),
        ("wss://h.example/market/ws/btcusdt@aggTrade", "wss://h.example"),
        ("wss://h.example/ws", "wss://h.example"),
        ("http://simulator:8090/binance-usdm", "http://simulator:8090/binance-usdm"),
        ("http://simulator:8090/binance-usdm/fapi/v1/", "http://simulator:8090/binance-usdm"),
    ],
)
def test_paths_of_the_api_are_removed_from_a_base_url(given: str, base: str) -> None:
    assert VENUE.hosts.base(given) == base


def test_the_feed_s_endpoints_can_have_the_simulator_s_base_path() -> None:
    url = "http://cryptocdc-simulator:8090/binance-usdm"
    own = feed(exchange="binance-usdm", endpoints={"rest": url, "websocket": url.replace("http", "ws")})
    assert venue_of(own).hosts.rest == url
    assert venue_of(own).gives_by_id("aggregate")


def test_weights_and_budget_are_those_of_usd_m_futures() -> None:
    requests = VENUE.requests
    assert [limit.amount for limit in VENUE.limits.budgets()] == [2400]
    assert [requests.book("X", levels).cost for levels in (5, 20, 50, 51, 100, 101, 500, 501, 1000)] == [
        *(2, 2, 2, 5, 5, 10, 10, 20, 20),
    ]
    assert [requests.book("X", levels).params["limit"] for levels in (3, 20, 21, 400, 1000)] == [5, 20, 50, 500, 1000]
    assert [requests.klines("X", "1m", None, limit).cost for limit in (1, 99, 100, 499, 500, 1000, 1001)] == [
        *(1, 1, 2, 2, 5, 5, 10),
    ]
    assert requests.trades("X", "aggregate", 7, 500).params == {"symbol": "X", "fromId": 7, "limit": 500}
    assert requests.trades("X", "aggregate", None, 1).cost == 20
    assert (requests.prices(["X"]).cost, requests.prices(["X", "Y"]).cost, requests.stats(["X"]).cost) == (1, 2, 1)


def test_raw_trades_and_candles_of_a_second_are_refused_with_what_is_accepted() -> None:
    with pytest.raises(FeedError) as refused:
        check(
            feed(exchange="binance-usdm", streams={"recentTrades": {"kind": "trade"}, "klines": {"intervals": ["1s"]}})
        )
    assert refused.value.problems == [
        "spec.streams.recentTrades.kind: 'trade' is not accepted; accepted at binance-usdm: aggregate",
        "spec.streams.klines.intervals: '1s' is not accepted; accepted at binance-usdm: 1m, 3m, 5m, 15m, 30m, 1h, 2h,"
        " 4h, 6h, 8h, 12h, 1d, 3d, 1w, 1M",
    ]


def update(first: int, last: int, previous: int, at: int = NOW) -> BookUpdate:
    data = {"e": "depthUpdate", "E": at, "T": at, "s": "BTCUSDT", "U": first, "u": last, "pu": previous,
            "b": [["2.0", "1.0"]], "a": []}  # fmt: skip
    decode = VENUE.frames.decoder(feed().spec.streams)
    (event,) = decode(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode())  # type: ignore[misc]
    made = event.row(NOW)
    assert isinstance(made, BookUpdate)
    return made


def begun(last_id: int) -> Book:
    snapshot = {"lastUpdateId": last_id, "E": NOW, "T": NOW, "bids": [["2.0", "1"]], "asks": [["3.0", "1"]]}
    book = Book("BTCUSDT", 5, 1000, VENUE.order_book)
    book.load(VENUE.requests.book("BTCUSDT", 1000).read(json.dumps(snapshot).encode(), NOW))
    return book


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ((90, 110, 80), Applied.APPLIED),  # the snapshot falls into it
        ((105, 110, 90), Applied.APPLIED),  # the snapshot falls between it and the one before
        ((105, 110, 100), Applied.APPLIED),
        ((90, 100, 80), Applied.IGNORED),
        ((105, 110, 101), Applied.GAP),  # one that the snapshot does not contain is missing
    ],
)
def test_the_first_update_overlaps_or_directly_follows_the_snapshot(sent: tuple[int, int, int], found: Applied) -> None:
    assert begun(100).receive(update(*sent), NOW)[0] is found


def test_ids_that_jump_ahead_but_name_the_previous_update_are_not_a_gap() -> None:
    """Ids are shared by all markets: during a market's quiet hour they advance by more than any bound."""
    book = begun(100)
    assert book.receive(update(105, 110, 100), NOW)[0] is Applied.APPLIED
    assert book.receive(update(10**12, 10**12 + 5, 110), NOW)[0] is Applied.APPLIED
    assert book.receive(update(10**12 + 20, 10**12 + 25, 10**12 + 6), NOW)[0] is Applied.GAP


def test_ids_that_restart_below_the_one_they_name_are_accepted() -> None:
    book = begun(10**9)
    assert book.receive(update(1, 3, 10**9), NOW)[0] is Applied.APPLIED
    assert book.receive(update(4, 5, 3), NOW)[0] is Applied.APPLIED


def test_spot_and_perpetual_of_one_pair_never_share_a_row() -> None:
    """A table, a topic and a keyspace belong to one feed, whose exchange can't be changed; two feeds of one name can't
    exist side by side."""
    spot, perpetual = feed("btc-spot"), feed("btc-perpetual", exchange="binance-usdm")
    names = [Names(identity(it.name, "exchange")) for it in (spot, perpetual)]
    for part in ("schema", "slot", "publication", "connector", "topic_prefix", "symbols_topic", "keyspace"):
        assert getattr(names[0], part) != getattr(names[1], part)
    assert names[0].change_topic("klines") != names[1].change_topic("klines")
    with pytest.raises(FeedError, match=r"spec.exchange: 'binance-usdm' is not accepted; .*the field is immutable"):
        feed("btc-spot", exchange="binance-usdm").refuse_changes(spot)
    assert VENUE.hosts.rest != SPOT.hosts.rest
