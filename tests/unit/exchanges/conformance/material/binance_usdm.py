"""Binance's USD-M futures, as https://developers.binance.com/docs/derivatives/usds-margined-futures documents them.

What is not here has the shape that it has on the spot market.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptocdc_core.resolve import MarketState
from cryptocdc_core.rows import Crypto24hStatsRow, LatestPricesRow
from cryptocdc_core.versions import version
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate
from cryptocdc_exchanges.registry import VENUES

from ..examples import NOW, Body, Frame, Recording
from . import binance
from .binance import AGGREGATE, AT, KLINE, MINI, aggregate_row, body, wrapped

REQUESTS = VENUES["binance-usdm"].requests
TICKER = {
    "e": "24hrTicker", "E": AT, "s": "BTCUSDT", "p": "-0.0015", "P": "-250.00", "w": "0.0018", "c": "0.0025",
    "Q": "10", "o": "0.0010", "h": "0.0025", "l": "0.0010", "v": "10000", "q": "18", "O": AT - 86_400_000, "C": AT,
    "F": 0, "L": 18150, "n": 18151,
}  # fmt: skip
DEPTH = {
    "e": "depthUpdate", "E": AT, "T": AT - 3, "s": "BTCUSDT", "U": 157, "u": 160, "pu": 149, "b": [["0.0024", "10"]],
    "a": [["0.0026", "5"]],
}  # fmt: skip
STATS = {
    "symbol": "BTCUSDT", "priceChange": "-94.99999800", "priceChangePercent": "-95.960", "weightedAvgPrice": "0.29",
    "lastPrice": "4.00000200", "lastQty": "200.0", "openPrice": "99.0", "highPrice": "100.0", "lowPrice": "0.1",
    "volume": "8913.3", "quoteVolume": "15.30", "openTime": AT - 86_400_000, "closeTime": AT, "firstId": 28385,
    "lastId": 28460, "count": 76,
}  # fmt: skip


def ticker_row(**columns: Any) -> Crypto24hStatsRow:
    """Without the best bid and ask, which the venue does not report with the statistics."""
    return Crypto24hStatsRow(
        symbol="BTCUSDT", event_time=AT, bid_price=None, bid_quantity=None, ask_price=None, ask_quantity=None,
        open_time=AT - 86_400_000, close_time=AT, received_at=NOW, version=version(AT), **columns,
    )  # fmt: skip


def price_row(symbol: str) -> LatestPricesRow:
    return LatestPricesRow(symbol=symbol, event_time=AT, price="6000.01", received_at=NOW, version=version(AT))


def contract(symbol: str, status: str, kind: str = "PERPETUAL", onboard: int = NOW - 1) -> dict[str, Any]:
    return {"symbol": symbol, "status": status, "quoteAsset": "USDT", "contractType": kind, "onboardDate": onboard}


same = {type(frame.becomes).__name__: frame for frame in binance.FRAMES if not frame.kind}
PRICE = {"symbol": "BTCUSDT", "price": "6000.01", "time": AT}

MATERIAL = replace(
    binance.MATERIAL,
    frames=[
        Frame(wrapped(AGGREGATE | {"nq": "90.0"}), aggregate_row(NOW)),  # without orders that only people's can meet
        Frame(wrapped(KLINE), same["KlinesRow"].becomes),
        Frame(wrapped(MINI), same["LatestPricesRow"].becomes),
        Frame(
            wrapped(TICKER),
            ticker_row(
                price_change="-0.0015", price_change_percent="-250.00", weighted_avg_price="0.0018",
                open_price="0.0010", high_price="0.0025", low_price="0.0010", last_price="0.0025", last_quantity="10",
                volume="10000", quote_volume="18", trade_count=18151,
            ),
        ),
        Frame(
            wrapped(DEPTH),
            BookUpdate(
                symbol="BTCUSDT", event_time=AT, first_id=150, last_id=160, bids=[("0.0024", "10")],
                asks=[("0.0026", "5")],
            ),
        ),
    ],
    odd=[
        *binance.MATERIAL.odd,
        (wrapped(DEPTH | {"u": 156}), "wrong-field"),
        (wrapped({"e": "forceOrder", "E": AT, "o": {"s": "BTCUSDT"}}), "unknown-event"),
    ],
    bodies=[
        Body(
            REQUESTS.trades("BNBBTC", "aggregate", 12345, 1),
            body([{key: AGGREGATE[key] for key in "apqflTm"}]),
            [aggregate_row(NOW)],
        ),
        Body(
            REQUESTS.stats(["BTCUSDT"]),
            body(STATS),
            [ticker_row(
                price_change="-94.99999800", price_change_percent="-95.960", weighted_avg_price="0.29",
                open_price="99.0", high_price="100.0", low_price="0.1", last_price="4.00000200", last_quantity="200.0",
                volume="8913.3", quote_volume="15.30", trade_count=76,
            )],
        ),
        Body(REQUESTS.prices(["BTCUSDT"]), body(PRICE), [price_row("BTCUSDT")]),
        Body(
            REQUESTS.prices(["BTCUSDT", "ETHUSDT"]),
            body([PRICE, PRICE | {"symbol": "ETHUSDT"}]),
            [price_row("BTCUSDT"), price_row("ETHUSDT")],
        ),
        Body(
            REQUESTS.book("BTCUSDT", 1000),
            body({"lastUpdateId": 1027024, "E": AT, "T": AT, "bids": [["4.0", "431.0"]], "asks": [["4.01", "12"]]}),
            BookSnapshot(1027024, [("4.0", "431.0")], [("4.01", "12")]),
        ),
    ],
    states=(
        body(
            {
                "symbols": [
                    contract("BTCUSDT", "TRADING"),
                    contract("XAUUSDT", "TRADING", "TRADIFI_PERPETUAL"),
                    contract("AUSDT", "TRADING_HALT"),
                    contract("BUSDT", "PENDING_TRADING"),
                    contract("NEWUSDT", "PENDING_TRADING", onboard=NOW + 1),
                    contract("OLDUSDT", "SETTLING"),
                    contract("BTCUSDT_261225", "TRADING", "CURRENT_QUARTER"),
                    {"symbol": "123456", "status": "TRADING", "quoteAsset": "456", "contractType": ""},
                ]
            }
        ),
        {
            "BTCUSDT": MarketState.TRADING, "XAUUSDT": MarketState.TRADING, "AUSDT": MarketState.HALTED,
            "BUSDT": MarketState.HALTED, "NEWUSDT": MarketState.PENDING, "OLDUSDT": MarketState.GONE,
        },
    ),
    recording=Recording(
        "binance-futures-websocket.capture",
        "binance-futures-rest.capture",
        ("SUSHIUSDT", "AKROUSDT"),
        {"recentTrades": {}, "klines": {"intervals": ["1m"]}, "orderBook": {"depth": 5, "interval": "1s"}},
    ),
)  # fmt: skip
