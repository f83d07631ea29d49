"""Binance spot, as https://developers.binance.com/docs/binance-spot-api-docs documents it."""

from __future__ import annotations

import json
from typing import Any

from cryptocdc_core.planning.resolve import MarketState
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.rows.versions import Rank, kline_version, version
from cryptocdc_exchanges.port import Answer, BookSnapshot, BookUpdate, Closing, Refusal, Reply, SlowDown
from cryptocdc_exchanges.registry import VENUES

from ..examples import NOW, Body, Frame, Material, Recording

REQUESTS = VENUES["binance"].requests
AT = 1_672_515_782_136
MINUTE = 60_000
OPENED = AT // MINUTE * MINUTE


def wrapped(data: dict[str, Any], channel: str = "bnbbtc@any") -> bytes:
    return json.dumps({"stream": channel, "data": data}).encode()


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


AGGREGATE = {
    "e": "aggTrade", "E": AT, "s": "BNBBTC", "a": 12345, "p": "0.00100000", "q": "100.00000000", "f": 100, "l": 105,
    "T": AT - 1, "m": True, "M": True,
}  # fmt: skip
RAW = {
    "e": "trade", "E": AT, "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100", "T": AT, "m": False, "M": True,
}  # fmt: skip
KLINE = {
    "e": "kline", "E": AT, "s": "BNBBTC",
    "k": {
        "t": OPENED, "T": OPENED + MINUTE - 1, "s": "BNBBTC", "i": "1m", "f": 100, "L": 200, "o": "0.0010",
        "c": "0.0020", "h": "0.0025", "l": "0.0015", "v": "1000", "n": 100, "x": False, "q": "1.0000", "V": "500",
        "Q": "0.500", "B": "123456",
    },
}  # fmt: skip
TICKER = {
    "e": "24hrTicker", "E": AT, "s": "BNBBTC", "p": "-0.0015", "P": "-250.00", "w": "0.0018", "x": "0.0009",
    "c": "0.0025", "Q": "10", "b": "0.0024", "B": "10", "a": "0.0026", "A": "100", "o": "0.0010", "h": "0.0025",
    "l": "0.0010", "v": "10000", "q": "18", "O": AT - 86_400_000, "C": AT, "F": 0, "L": 18150, "n": 18151,
}  # fmt: skip
MINI = {
    "e": "24hrMiniTicker", "E": AT, "s": "BNBBTC", "c": "0.0025", "o": "0.0010", "h": "0.0025", "l": "0.0010",
    "v": "10000", "q": "18",
}  # fmt: skip
DEPTH = {
    "e": "depthUpdate", "E": AT, "s": "BNBBTC", "U": 157, "u": 160, "b": [["0.0024", "10"]], "a": [["0.0026", "0"]],
}  # fmt: skip


def aggregate_row(received_ms: int) -> RecentTradesRow:
    return RecentTradesRow(
        symbol="BNBBTC", trade_time=AT - 1, trade_id=12345, price="0.00100000", quantity="100.00000000",
        first_trade_id=100, last_trade_id=105, buyer_is_maker=True, received_at=received_ms, version=version(AT - 1),
    )  # fmt: skip


BOOK_TICKER = {"u": 400900217, "s": "BNBBTC", "b": "25.35190000", "B": "31.21000000", "a": "25.36520000", "A": "40.66"}

FRAMES = [
    Frame(wrapped(AGGREGATE), aggregate_row(NOW)),
    Frame(
        wrapped(RAW),
        RecentTradesRow(
            symbol="BNBBTC", trade_time=AT, trade_id=12345, price="0.001", quantity="100", first_trade_id=12345,
            last_trade_id=12345, buyer_is_maker=False, received_at=NOW, version=version(AT),
        ),
        "trade",
    ),
    Frame(
        wrapped(KLINE),
        KlinesRow(
            symbol="BNBBTC", interval="1m", open_time=OPENED, close_time=OPENED + MINUTE - 1, open="0.0010",
            high="0.0025", low="0.0015", close="0.0020", volume="1000", quote_volume="1.0000", trade_count=100,
            taker_buy_volume="500", taker_buy_quote_volume="0.500", closed=False, event_time=AT, received_at=NOW,
            version=kline_version(AT, OPENED + MINUTE, Rank.OPEN),
        ),
    ),
    Frame(
        wrapped(TICKER),
        Crypto24hStatsRow(
            symbol="BNBBTC", event_time=AT, price_change="-0.0015", price_change_percent="-250.00",
            weighted_avg_price="0.0018", open_price="0.0010", high_price="0.0025", low_price="0.0010",
            last_price="0.0025", last_quantity="10", bid_price="0.0024", bid_quantity="10", ask_price="0.0026",
            ask_quantity="100", volume="10000", quote_volume="18", open_time=AT - 86_400_000, close_time=AT,
            trade_count=18151, received_at=NOW, version=version(AT),
        ),
    ),
    Frame(
        wrapped(MINI),
        LatestPricesRow(symbol="BNBBTC", event_time=AT, price="0.0025", received_at=NOW, version=version(AT)),
    ),
    Frame(
        wrapped(BOOK_TICKER, "bnbbtc@bookTicker"),
        BestQuotesRow(
            symbol="BNBBTC", event_time=NOW, update_id=400900217, bid_price="25.35190000", bid_quantity="31.21000000",
            ask_price="25.36520000", ask_quantity="40.66", received_at=NOW, version=version(NOW),
        ),
    ),
    Frame(
        wrapped(DEPTH),
        BookUpdate(
            symbol="BNBBTC", event_time=AT, first_id=157, last_id=160, bids=[("0.0024", "10")], asks=[("0.0026", "0")]
        ),
    ),
]  # fmt: skip

BODIES = [
    Body(
        REQUESTS.trades("BNBBTC", "aggregate", 12345, 1),
        body([{key: AGGREGATE[key] for key in "apqflTmM"}]),
        [aggregate_row(NOW)],
    ),
    Body(
        REQUESTS.klines("BNBBTC", "1m", OPENED, 2),
        body(
            [
                [at, "0.01634790", "0.80", "0.0157", "0.0157", "148976.1", at + MINUTE - 1, "2434.19", 308, "1756.8",
                 "28.46", "0"]
                for at in (OPENED, OPENED + MINUTE)
            ]
        ),
        [
            KlinesRow(
                symbol="BNBBTC", interval="1m", open_time=at, close_time=at + MINUTE - 1, open="0.01634790",
                high="0.80", low="0.0157", close="0.0157", volume="148976.1", quote_volume="2434.19", trade_count=308,
                taker_buy_volume="1756.8", taker_buy_quote_volume="28.46", closed=True, event_time=NOW,
                received_at=NOW, version=kline_version(NOW, at + MINUTE, Rank.FINAL),
            )
            for at in (OPENED, OPENED + MINUTE)
        ],
    ),
    Body(
        REQUESTS.prices(["LTCBTC"]),
        body([{"symbol": "LTCBTC", "price": "4.00000200"}]),
        [LatestPricesRow(
            symbol="LTCBTC", event_time=NOW, price="4.00000200", received_at=NOW, version=version(NOW)
        )],
    ),
    Body(
        REQUESTS.book("LTCBTC", 100),
        body({"lastUpdateId": 1027024, "bids": [["4.0", "431.0"]], "asks": [["4.00000200", "12.0"]]}),
        BookSnapshot(1027024, [("4.0", "431.0")], [("4.00000200", "12.0")]),
    ),
]  # fmt: skip

MATERIAL = Material(
    frames=FRAMES,
    controls=[
        (b'{"result":null,"id":1}', Reply("", 1)),
        (wrapped({"e": "serverShutdown", "E": AT}, "!serverShutdown"), Closing()),
    ],
    odd=[
        (b'{"stream":"x","data":{"e":"aggTrade"', "invalid-json"),
        (wrapped({"e": "neverHeardOf", "s": "BNBBTC"}), "unknown-event"),
        (wrapped({"code": -1003, "msg": "Too many requests."}), "error-body"),
        (wrapped(AGGREGATE | {"a": "12345"}), "wrong-field"),
        (wrapped(AGGREGATE | {"padding": "x" * 2_000_000}), "oversize"),
        (wrapped(RAW), "unknown-event"),
    ],
    bodies=BODIES,
    verdicts=[
        (Answer(200, {}, b"[]"), None),
        (Answer(502, {}, b"bad gateway"), None),
        (Answer(429, {"Retry-After": "37"}, b"{}"), SlowDown(37.0)),
        (Answer(418, {"Retry-After": "inf"}, b"{}"), SlowDown(3 * 86_400.0)),
        (Answer(403, {}, b"<html>"), SlowDown(60.0)),
        (Answer(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}'), Refusal(-1121, "Invalid symbol.", True)),
        (Answer(400, {}, b'{"code":-1100,"msg":"Illegal characters."}'), Refusal(-1100, "Illegal characters.")),
        (Answer(404, {}, b"<html>"), Refusal(0, "")),
    ],
    states=(
        body(
            {
                "symbols": [
                    {"symbol": "BTCUSDT", "status": "TRADING", "quoteAsset": "USDT"},
                    {"symbol": "LUNABTC", "status": "BREAK", "quoteAsset": "BTC"},
                ]
            }
        ),
        {"BTCUSDT": MarketState.TRADING, "LUNABTC": MarketState.HALTED},
    ),
    recording=Recording(
        "binance-websocket.capture",
        "binance-rest.capture",
        ("NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"),
        {
            "recentTrades": {},
            "klines": {"intervals": ["1m"]},
            "orderBook": {"depth": 5, "interval": "1s"},
            "bestQuotes": {},
        },
    ),
)
