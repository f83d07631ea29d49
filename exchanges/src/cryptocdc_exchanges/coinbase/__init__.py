"""Coinbase Exchange's spot markets.

Facts: https://docs.cdp.coinbase.com/exchange/introduction/welcome. Trades have consecutive ids. Updates of order books
have none, so only what arrived is known. Candles are available only over REST, without those of intervals that had no
trade.
"""

from __future__ import annotations

import re

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_exchanges.coinbase import channels, frames, limits, markets, order_book, requests
from cryptocdc_exchanges.port import Hosts, Offer, Proof, Refill, Simulated, Venue

_BOTH = ("websocket", "rest")
_TRADE = ("trade",)
_OFFERS = {
    RECENT_TRADES.table: Offer(_BOTH, Proof.IDS, Refill("trade_id", frozenset(_TRADE), first_id=1), {"kind": _TRADE}),
    KLINES.table: Offer(("rest",), Proof.ARRIVAL, accepted={"intervals": tuple(requests.GRANULARITIES)}),
    CRYPTO_24H_STATS.table: Offer(_BOTH, Proof.ARRIVAL),
    LATEST_PRICES.table: Offer(_BOTH, Proof.ARRIVAL),
    ORDER_BOOK.table: Offer(_BOTH, Proof.ARRIVAL),
    BEST_QUOTES.table: Offer(("websocket",), Proof.ARRIVAL),
}
_OWN_PATHS = re.compile(r"/+((products|time)(/.*)?)?/*$")

VENUES = (
    Venue(
        "coinbase",
        Hosts("https://api.exchange.coinbase.com", "wss://ws-feed.exchange.coinbase.com", _OWN_PATHS),
        _OFFERS,
        ("BTC-USD", "ETH-USD", "LTC-USD", "ETH-BTC"),
        Simulated("/coinbase", ("BTC-USD", "ETH-USD")),
        markets, channels, frames, requests, order_book.PROCEDURE, limits,
    ),
)  # fmt: skip
