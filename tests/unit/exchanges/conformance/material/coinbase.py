"""Coinbase Exchange, as https://docs.cdp.coinbase.com/exchange documents it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cryptocdc_core.planning.resolve import MarketState
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.rows.versions import Rank, kline_version, version
from cryptocdc_exchanges.port import Answer, BookSnapshot, BookUpdate, Refusal, Reply, SlowDown
from cryptocdc_exchanges.registry import VENUES

from ..examples import NOW, Body, Frame, Material, Recording

REQUESTS = VENUES["coinbase"].requests
AT = 1_780_315_199_900
TIME = datetime.fromtimestamp(AT / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.900457Z")
MINUTE = 60_000
OPENED = 1_780_315_080_000


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


MATCH = {
    "type": "match", "trade_id": 10, "sequence": 50, "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
    "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1", "time": TIME, "product_id": "BTC-USD", "size": "5.23512",
    "price": "400.23", "side": "sell",
}  # fmt: skip
TRADE = {"trade_id": 10, "side": "sell", "size": "5.23512000", "price": "400.23000000", "time": TIME}
TICKER = {
    "type": "ticker", "sequence": 37475248783, "product_id": "ETH-USD", "price": "1285.22", "open_24h": "1310.79",
    "volume_24h": "245532.79269678", "low_24h": "1280.52", "high_24h": "1313.8", "volume_30d": "9788783.60117027",
    "best_bid": "1285.04", "best_bid_size": "0.46688654", "best_ask": "1285.27", "best_ask_size": "1.56637040",
    "side": "buy", "time": TIME, "trade_id": 370843401, "last_size": "11.4396987",
}  # fmt: skip
SNAPSHOT = {
    "type": "snapshot", "product_id": "BTC-USD", "bids": [["10101.10", "0.45054140"]],
    "asks": [["10102.55", "0.57753524"]], "time": TIME,
}  # fmt: skip
CHANGES = {
    "type": "l2update", "product_id": "BTC-USD", "time": TIME,
    "changes": [["buy", "22356.270000", "0.00000000"], ["sell", "22356.300000", "1.00000000"]],
}  # fmt: skip
TRADE_ROW = RecentTradesRow(
    symbol="BTC-USD", trade_time=AT, trade_id=10, price="400.23", quantity="5.23512", first_trade_id=10,
    last_trade_id=10, buyer_is_maker=False, received_at=NOW, version=version(AT),
)  # fmt: skip


def statistics(event_time: int, *prices: str, **more: str) -> Crypto24hStatsRow:
    """`prices`: open, high, low, last."""
    opened, high, low, last = prices
    reported: dict[str, Any] = {
        **dict.fromkeys(
            (
                "price_change", "price_change_percent", "weighted_avg_price", "last_quantity", "bid_price",
                "bid_quantity", "ask_price", "ask_quantity", "quote_volume", "open_time", "close_time", "trade_count",
            )
        ),
        **more,
    }  # fmt: skip
    return Crypto24hStatsRow(
        symbol="ETH-USD", event_time=event_time, open_price=opened, high_price=high, low_price=low, last_price=last,
        received_at=NOW, version=version(event_time), **reported,
    )  # fmt: skip


def price(symbol: str, text: str) -> LatestPricesRow:
    return LatestPricesRow(symbol=symbol, event_time=AT, price=text, received_at=NOW, version=version(AT))


def candle(opened: int, rank: Rank, **numbers: str) -> KlinesRow:
    return KlinesRow(
        symbol="BTC-USD", interval="1m", open_time=opened, close_time=opened + MINUTE - 1, quote_volume=None,
        trade_count=None, taker_buy_volume=None, taker_buy_quote_volume=None, closed=rank is Rank.FINAL, event_time=NOW,
        received_at=NOW, version=kline_version(NOW, opened + MINUTE, rank), **numbers,
    )  # fmt: skip


def update(**more: Any) -> BookUpdate:
    return BookUpdate(symbol="BTC-USD", event_time=AT, first_id=AT, last_id=AT, numbered=False, **more)


def products(**states: dict[str, Any]) -> bytes:
    return body(
        [
            {"id": name.replace("_", "-"), "base_currency": "X", "quote_currency": "USD", "status": "online", **state}
            for name, state in states.items()
        ]
    )


UNLISTED = "XYZ-USD is not a valid product"

MATERIAL = Material(
    frames=[
        Frame(body(MATCH), TRADE_ROW),
        Frame(body({**MATCH, "type": "last_match", "size": "5.235120"}), TRADE_ROW),
        Frame(
            body(TICKER),
            statistics(
                AT, "1310.79", "1313.8", "1280.52", "1285.22", volume="245532.79269678", last_quantity="11.4396987",
                bid_price="1285.04", bid_quantity="0.46688654", ask_price="1285.27", ask_quantity="1.56637040",
            ),
        ),
        Frame(body(TICKER), price("ETH-USD", "1285.22")),
        Frame(
            body(TICKER),
            BestQuotesRow(
                symbol="ETH-USD", event_time=AT, update_id=37475248783, bid_price="1285.04", bid_quantity="0.46688654",
                ask_price="1285.27", ask_quantity="1.56637040", received_at=NOW, version=version(AT),
            ),
        ),
        Frame(
            body(SNAPSHOT),
            update(snapshot=True, bids=[("10101.10", "0.45054140")], asks=[("10102.55", "0.57753524")]),
        ),
        Frame(
            body(CHANGES),
            update(bids=[("22356.270000", "0.00000000")], asks=[("22356.300000", "1.00000000")]),
        ),
    ],
    controls=[
        (
            body({
                "type": "subscriptions",
                "channels": [{"name": "matches", "product_ids": ["ETH-USD"], "account_ids": None}],
            }),
            Reply(),
        ),
        (
            body({"type": "error", "message": "Failed to subscribe", "reason": UNLISTED}),
            Reply(
                f"Failed to subscribe: {UNLISTED}",
                None,
                frozenset({"matches:XYZ-USD", "ticker:XYZ-USD", "level2_batch:XYZ-USD"}),
            ),
        ),
        (
            body({"type": "error", "message": "Failed to subscribe", "reason": "rate limit"}),
            Reply("Failed to subscribe: rate limit"),
        ),
    ],
    odd=[
        (b'{"type":"match","trade_id"', "invalid-json"),
        (body({**MATCH, "type": "activate"}), "unknown-event"),
        (body([MATCH]), "unknown-event"),
        (body({"message": "Internal server error"}), "error-body"),
        (body({"type": "error", "message": "ErrSlowConsume"}), "error-body"),
        (body({**MATCH, "trade_id": "10"}), "wrong-field"),
        (body({**MATCH, "side": "both"}), "wrong-field"),
        (body({**MATCH, "time": "2026-06-01T12:00:00"}), "wrong-field"),
        (body({**MATCH, "time": "1960-06-01T12:00:00Z"}), "wrong-field"),
        (body({**MATCH, "price": "1e5"}), "wrong-decimal"),
        (body({**MATCH, "padding": "x" * 9_000_000}), "oversize"),
        (body({**CHANGES, "changes": [["hold", "1.0", "1.0"]]}), "wrong-field"),
    ],
    bodies=[
        Body(REQUESTS.trades("BTC-USD", "trade", 10, 1), body([TRADE]), [TRADE_ROW]),
        Body(
            REQUESTS.klines("BTC-USD", "1m", OPENED, 5),
            b"[[%d,0.32,4.2,0.35,4.2,1e-8],[%d,0.000000119,1,1.0,1,12.3]]"
            % ((OPENED + MINUTE) // 1000, OPENED // 1000),
            [
                candle(OPENED + MINUTE, Rank.OPEN, low="0.32", high="4.2", open="0.35", close="4.2",
                       volume="0.00000001"),
                candle(OPENED, Rank.FINAL, low="0.000000119", high="1", open="1.0", close="1", volume="12.3"),
            ],
        ),
        Body(
            REQUESTS.stats(["ETH-USD"]),
            body({"open": "5414.18", "high": "6441.37", "low": "5261.69", "last": "6250.02", "volume": "53687.76764233",
                  "volume_30day": "786763.72930864"}),
            [statistics(NOW, "5414.18", "6441.37", "5261.69", "6250.02", volume="53687.76764233")],
        ),
        Body(
            REQUESTS.prices(["ETH-USD"]),
            body({"trade_id": 86326522, "price": "6268.48", "size": "0.00698254", "time": TIME, "bid": "6265.15",
                  "ask": "6267.71", "volume": "53602.03940154"}),
            [price("ETH-USD", "6268.48")],
        ),
        Body(
            REQUESTS.book("BTC-USD", 20),
            body({"bids": [["6247.58", "6.3578146", 2]], "asks": [["6251.52", "2", 1]], "sequence": 13051505638,
                  "auction_mode": False, "auction": None, "time": TIME}),
            BookSnapshot(13051505638, [("6247.58", "6.3578146")], [("6251.52", "2")]),
        ),
    ],
    verdicts=[
        (Answer(200, {}, b"[]"), None),
        (Answer(500, {}, b'{"message":"Internal server error"}'), None),
        (Answer(429, {}, b'{"message":"Public rate limit exceeded"}'), SlowDown(1.0)),
        (Answer(403, {}, b"<html>"), SlowDown(60.0)),
        (Answer(404, {}, b'{"message":"NotFound"}'), Refusal(0, "NotFound", True)),
        (Answer(404, {}, b'{"message":"Route not found"}'), Refusal(0, "Route not found")),
        (Answer(400, {}, b'{"message":"Unsupported granularity"}'), Refusal(0, "Unsupported granularity")),
        (Answer(400, {}, b"<html>"), Refusal(0, "")),
    ],
    states=(
        products(
            BTC_USD={}, LIMIT_USD={"limit_only": True}, POST_USD={"post_only": True}, CANCEL_USD={"cancel_only": True},
            STOPPED_USD={"trading_disabled": True}, AUCTION_USD={"auction_mode": True}, OFF_USD={"status": "offline"},
            NEW_USD={"status": "internal"}, OLD_USD={"status": "delisted", "trading_disabled": True},
        ),
        {
            "BTC-USD": MarketState.TRADING, "LIMIT-USD": MarketState.TRADING, "POST-USD": MarketState.HALTED,
            "CANCEL-USD": MarketState.HALTED, "STOPPED-USD": MarketState.HALTED, "AUCTION-USD": MarketState.HALTED,
            "OFF-USD": MarketState.HALTED, "NEW-USD": MarketState.PENDING, "OLD-USD": MarketState.GONE,
        },
    ),
    recording=Recording(
        "coinbase-websocket.capture",
        "coinbase-rest.capture",
        ("BAND-GBP", "NU-GBP", "SKL-USD", "YFI-BTC"),
        {
            "recentTrades": {"kind": "trade"},
            "crypto24hStats": {"source": "websocket"},
            "latestPrices": {},
            "orderBook": {"depth": 5, "interval": "1s"},
            "bestQuotes": {},
        },
    ),
)  # fmt: skip
