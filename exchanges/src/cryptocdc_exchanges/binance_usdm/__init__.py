"""Binance's USD-M perpetual futures. What they share with the spot market is imported from `binance/`.

Facts: https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from __future__ import annotations

import re
from typing import get_args

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
from cryptocdc_core.feed.streams import KlineInterval
from cryptocdc_exchanges.binance import archive
from cryptocdc_exchanges.binance_usdm import channels, frames, limits, markets, order_book, requests
from cryptocdc_exchanges.port import Hosts, Offer, Proof, Refill, Simulated, Venue

_BOTH = ("websocket", "rest")
_KIND = "aggregate"
"""There is no documented stream of raw trades, and requesting them by id needs a key."""
_INTERVALS = tuple(interval for interval in get_args(KlineInterval) if interval != "1s")
_OFFERS = {
    RECENT_TRADES.table: Offer(
        _BOTH, Proof.IDS, Refill("trade_id", frozenset({_KIND}), first_id=0), accepted={"kind": (_KIND,)}
    ),
    KLINES.table: Offer(_BOTH, Proof.IDS, Refill("open_time"), accepted={"intervals": _INTERVALS}),
    CRYPTO_24H_STATS.table: Offer(_BOTH, Proof.ARRIVAL),
    LATEST_PRICES.table: Offer(_BOTH, Proof.ARRIVAL),
    ORDER_BOOK.table: Offer(_BOTH, Proof.SEQUENCE),
    BEST_QUOTES.table: Offer(("websocket",), Proof.ARRIVAL),
    MARK_PRICES.table: Offer(("websocket",), Proof.ARRIVAL),
    OPEN_INTEREST.table: Offer(("rest",), Proof.ARRIVAL),
    LIQUIDATIONS.table: Offer(("websocket",), Proof.ARRIVAL),
}
_OWN_PATHS = re.compile(r"/+(fapi(/v\d.*)?|(public|market)(/ws(/.*)?|/stream)?|ws(/.*)?|stream)?/*$")

VENUES = (
    Venue(
        "binance-usdm",
        Hosts("https://fapi.binance.com", "wss://fstream.binance.com", _OWN_PATHS, archive=archive.HOST),
        _OFFERS,
        ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"),
        Simulated("/binance-usdm", ("BTCUSDT", "ETHUSDT")),
        markets,
        channels,
        frames,
        requests,
        order_book.PROCEDURE,
        limits,
        open_interest=requests.open_interest,
        archive=archive.FUTURES,
    ),
)
