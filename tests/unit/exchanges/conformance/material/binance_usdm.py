"""Binance's USD-M futures, as https://developers.binance.com/docs/derivatives/usds-margined-futures documents them.

What is not here has the same shape as on the spot market.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptocdc_core.planning.resolve import MarketState
from cryptocdc_core.rows.typed import (
    BestQuotesRow,
    Crypto24hStatsRow,
    LatestPricesRow,
    LiquidationsRow,
    MarkPricesRow,
    OpenInterestRow,
)
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.binance_usdm import requests
from cryptocdc_exchanges.checks import fingerprint
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
QUOTE = {
    "e": "bookTicker", "u": 400900217, "E": AT, "T": AT - 3, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21",
    "a": "25.36520000", "A": "40.66",
}  # fmt: skip
MARK = {
    "e": "markPriceUpdate", "E": AT, "s": "BTCUSDT", "p": "11794.15000000", "i": "11784.62659091",
    "P": "11784.25641265", "r": "-0.00038167", "T": AT + 3_600_000,
}  # fmt: skip
FORCED: dict[str, Any] = {
    "e": "forceOrder", "E": AT,
    "o": {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9909.5",
        "X": "FILLED", "l": "0.014", "z": "0.014", "T": AT - 7,
    },
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


def mark_row(**funding: Any) -> MarkPricesRow:
    return MarkPricesRow(
        symbol="BTCUSDT", event_time=AT, mark_price="11794.15000000", index_price="11784.62659091", received_at=NOW,
        version=version(AT), **funding,
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
            wrapped(QUOTE),
            BestQuotesRow(
                symbol="BTCUSDT", event_time=AT, update_id=400900217, bid_price="25.35190000", bid_quantity="31.21",
                ask_price="25.36520000", ask_quantity="40.66", received_at=NOW, version=version(AT),
            ),
        ),
        Frame(wrapped(MARK), mark_row(funding_rate="-0.00038167", next_funding_time=AT + 3_600_000)),
        Frame(wrapped(MARK | {"r": "", "T": 0}), mark_row(funding_rate=None, next_funding_time=None)),
        Frame(
            wrapped(FORCED),
            LiquidationsRow(
                symbol="BTCUSDT", trade_time=AT - 7, side="sell", price="9910", quantity="0.014",
                average_price="9909.5", filled_quantity="0.014",
                liquidation_id=fingerprint("SELL", "0.014", "9910", "9909.5", "0.014"),
                received_at=NOW, version=version(AT - 7),
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
        (wrapped({"e": "contractInfo", "E": AT, "s": "BTCUSDT"}), "unknown-event"),
        (wrapped({"e": "forceOrder", "E": AT, "o": {"s": "BTCUSDT"}}), "wrong-field"),
        (wrapped(FORCED | {"o": FORCED["o"] | {"S": "HOLD"}}), "wrong-field"),
        (wrapped(MARK | {"r": "1e-5"}), "wrong-decimal"),
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
        Body(
            requests.open_interest("BTCUSDT"),
            body({"openInterest": "10659.509", "symbol": "BTCUSDT", "time": AT}),
            [OpenInterestRow(
                symbol="BTCUSDT", event_time=AT, open_interest="10659.509", received_at=NOW, version=version(AT)
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
        {
            "recentTrades": {},
            "klines": {"intervals": ["1m"]},
            "orderBook": {"depth": 5, "interval": "1s"},
            "bestQuotes": {},
        },
    ),
)  # fmt: skip
