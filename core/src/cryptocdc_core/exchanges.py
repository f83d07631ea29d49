"""Where each exchange is reached, and what differs between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.names import Source


@dataclass(frozen=True, slots=True)
class Exchange:
    """Base URLs without a path. `historical_trades`: whether raw trades can be had by id, and so backfilled.
    `always_listed`: markets that it has had from the beginning; a list without most of them is not believed.
    """

    rest: str
    websocket: str
    historical_trades: bool
    always_listed: tuple[str, ...] = ()


EXCHANGES: dict[str, Exchange] = {
    # The keyless hosts for market data; they lack historicalTrades.
    "binance": Exchange(
        "https://data-api.binance.vision",
        "wss://data-stream.binance.vision",
        historical_trades=False,
        always_listed=("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC"),
    ),
    "binance-us": Exchange(
        "https://api.binance.us",
        "wss://stream.binance.us:9443",
        historical_trades=True,
        always_listed=("BTCUSDT", "ETHUSDT", "LTCUSDT", "ETHBTC"),
    ),
    "simulated": Exchange(
        "http://127.0.0.1:8090", "ws://127.0.0.1:8090", historical_trades=True, always_listed=("BTCUSDT", "ETHUSDT")
    ),
}


def exchange_of(feed: CryptoFeed, rest_url: str | None = None, websocket_url: str | None = None) -> Exchange:
    """The feed's exchange: its own endpoints, unless the feed or the caller (who wins) names others."""
    known = EXCHANGES[feed.spec.exchange]
    rest = rest_url or feed.spec.endpoints.rest or known.rest
    websocket = websocket_url or feed.spec.endpoints.websocket or known.websocket
    # A host of one's own is taken to be complete; where historicalTrades is missing its 404 counts the gap unfillable.
    return replace(
        known,
        rest=rest.rstrip("/"),
        websocket=websocket.rstrip("/"),
        historical_trades=known.historical_trades or rest != known.rest,
    )


def always_listed(feed: CryptoFeed, source: Source) -> tuple[str, ...]:
    """The markets that whoever answers for the feed must list. A replayed capture lists what was recorded, however
    little that is.
    """
    if source == "capture":
        return ()
    return EXCHANGES["simulated" if source == "simulated" else feed.spec.exchange].always_listed
