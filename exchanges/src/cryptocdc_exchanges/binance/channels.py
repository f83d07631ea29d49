"""Channel names and subscription commands.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams. A server pings every 20 s, which
the WebSocket library answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.feed.streams import Streams
from cryptocdc_exchanges.port import Channel, ConnectionLimits

_PATH = "/stream"
"""The path of combined streams: each frame is wrapped with the name of its channel."""

limits = ConnectionLimits(
    channels=200,  # 1,024 are allowed; with fewer a disconnect affects fewer
    channels_per_command=100,
    command_every_s=0.3,  # five messages a second are allowed, pings included
    attempts=250,  # 300 are allowed
    attempts_s=300.0,
    max_age_s=23 * 3600 + 50 * 60.0,  # it is closed after 24 hours
)


def of(streams: Streams, symbol: str) -> list[Channel]:
    lower = symbol.lower()
    names: list[tuple[str, str]] = []
    if streams.recent_trades is not None and streams.recent_trades.source == "websocket":
        names.append((RECENT_TRADES.table, "aggTrade" if streams.recent_trades.kind == "aggregate" else "trade"))
    if streams.klines is not None and streams.klines.source == "websocket":
        names += [(KLINES.table, f"kline_{interval}") for interval in streams.klines.intervals]
    if streams.crypto_24h_stats is not None and streams.crypto_24h_stats.source == "websocket":
        names.append((CRYPTO_24H_STATS.table, "ticker"))
    if streams.latest_prices is not None and streams.latest_prices.source == "websocket":
        names.append((LATEST_PRICES.table, "miniTicker"))
    if streams.order_book is not None and streams.order_book.source == "websocket":
        names.append((ORDER_BOOK.table, "depth@100ms"))
    if streams.best_quotes is not None:
        names.append((BEST_QUOTES.table, "bookTicker"))
    return [Channel(table, f"{lower}@{name}", _PATH) for table, name in names]


def subscribe(number: int, names: Sequence[str]) -> str:
    return _command("SUBSCRIBE", number, names)


def unsubscribe(number: int, names: Sequence[str]) -> str:
    return _command("UNSUBSCRIBE", number, names)


def _command(method: str, number: int, names: Sequence[str]) -> str:
    return msgspec.json.encode({"method": method, "params": list(names), "id": number}).decode()
