"""Binance's spot market: binance.com, Binance US, and the simulator, which speaks the same API.

Facts: https://developers.binance.com/docs/binance-spot-api-docs
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
from cryptocdc_exchanges.binance import archive, channels, frames, limits, markets, order_book, requests
from cryptocdc_exchanges.port import Hosts, Offer, Proof, Refill, Simulated, Venue

_BOTH = ("websocket", "rest")
_OFFERS = {
    RECENT_TRADES.table: Offer(_BOTH, Proof.IDS, Refill("trade_id", frozenset({"aggregate", "trade"}), first_id=0)),
    KLINES.table: Offer(_BOTH, Proof.IDS, Refill("open_time")),
    CRYPTO_24H_STATS.table: Offer(_BOTH, Proof.ARRIVAL),
    LATEST_PRICES.table: Offer(_BOTH, Proof.ARRIVAL),
    ORDER_BOOK.table: Offer(_BOTH, Proof.SEQUENCE),
    BEST_QUOTES.table: Offer(("websocket",), Proof.ARRIVAL),
}
_SIMULATED = Simulated("", ("BTCUSDT", "ETHUSDT"))
_OWN_PATHS = re.compile(r"/+(api(/v\d.*)?|ws(/.*)?|stream)?/*$")


def _venue(
    name: str, rest: str, websocket: str, *always_listed: str, lacks: frozenset[str] = frozenset(), archived: str = "",
) -> Venue:  # fmt: skip
    hosts = Hosts(rest, websocket, _OWN_PATHS, lacks, archived)
    return Venue(
        name,
        hosts,
        _OFFERS,
        always_listed,
        _SIMULATED,
        markets,
        channels,
        frames,
        requests,
        order_book.PROCEDURE,
        limits,
        archive=archive.SPOT if archived else None,
    )


VENUES = (
    _venue(
        "binance", "https://data-api.binance.vision", "wss://data-stream.binance.vision",
        "BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC",
        lacks=frozenset({"trade"}),  # hosts that require no key do not have historicalTrades
        archived=archive.HOST,
    ),
    _venue(
        "binance-us", "https://api.binance.us", "wss://stream.binance.us:9443",
        "BTCUSDT", "ETHUSDT", "LTCUSDT", "ETHBTC",
    ),
    _venue(
        "simulated", "http://127.0.0.1:8090", "ws://127.0.0.1:8090", *_SIMULATED.always_listed,
        archived="http://127.0.0.1:8090",
    ),
)  # fmt: skip
