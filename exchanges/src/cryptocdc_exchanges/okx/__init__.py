"""OKX's spot markets and perpetual swaps, by its API v5.

Facts: https://www.okx.com/docs-v5/en/. A swap's trades, order book and volume are numbers of contracts, stored as OKX
reports them: what a contract is worth is in its list of instruments (`ctVal`, `ctValCcy`).
"""

from __future__ import annotations

import re

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    LIQUIDATIONS,
    MARK_PRICES,
    OPEN_INTEREST,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_exchanges.okx import channels, frames, limits, markets, order_book, requests
from cryptocdc_exchanges.okx.bars import BARS
from cryptocdc_exchanges.okx.swaps import is_swap
from cryptocdc_exchanges.port import Hosts, Offer, Proof, Refill, Simulated, Venue

_BOTH = ("websocket", "rest")
_OFFERS = {
    # REST has single trades alone, and the candle that is still open only among the newest: both are only refilled.
    RECENT_TRADES.table: Offer(
        ("websocket",), Proof.IDS, Refill("trade_id", frozenset({"trade"}), requests.FIRST_TRADE_ID)
    ),
    KLINES.table: Offer(("websocket",), Proof.IDS, Refill("open_time"), {"intervals": tuple(BARS)}),
    CRYPTO_24H_STATS.table: Offer(_BOTH, Proof.ARRIVAL),
    LATEST_PRICES.table: Offer(_BOTH, Proof.ARRIVAL),
    ORDER_BOOK.table: Offer(_BOTH, Proof.SEQUENCE),
    BEST_QUOTES.table: Offer(("websocket",), Proof.ARRIVAL),
    MARK_PRICES.table: Offer(("websocket",), Proof.ARRIVAL, covers=is_swap),
    OPEN_INTEREST.table: Offer(("rest",), Proof.ARRIVAL, covers=is_swap),
    LIQUIDATIONS.table: Offer(("websocket",), Proof.ARRIVAL, covers=is_swap, shared=True),
}
_OWN_PATHS = re.compile(r"/+((api|ws)(/v\d.*)?)?/*$")

_ALWAYS_LISTED = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP")

VENUES = (
    Venue(
        "okx",
        Hosts("https://www.okx.com", "wss://ws.okx.com:8443", _OWN_PATHS),
        _OFFERS,
        _ALWAYS_LISTED,
        Simulated("/okx", _ALWAYS_LISTED),
        markets, channels, frames, requests, order_book.PROCEDURE, limits, requests.open_interest,
    ),
)  # fmt: skip
