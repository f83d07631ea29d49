"""Channel names and subscription commands. Here a channel is named `channel:product`.

Source: https://docs.cdp.coinbase.com/exchange/websocket-feed/overview and /rate-limits there
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cryptocdc_core.catalogue.streams import BEST_QUOTES, CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.streams import Streams
from cryptocdc_exchanges.port import Channel, ConnectionLimits

_PATH = "/"
"""The address itself."""
MATCHES, TICKER = "matches", "ticker"
BOOK = "level2_batch"
"""`level2` is the same without delay, for accounts."""
ALL = (MATCHES, TICKER, BOOK)

limits = ConnectionLimits(
    channels=50,  # more are allowed; with fewer a disconnect affects fewer, and subscribing is faster
    channels_per_command=1,  # a command with an unlisted product is refused as a whole
    command_every_s=0.05,  # a hundred messages per second are allowed per address
    attempts=8,  # eight connections per second are allowed, twenty in a burst
    attempts_s=1.0,
)


def of(streams: Streams, symbol: str) -> list[Channel]:
    found: list[Channel] = []
    if streams.recent_trades is not None and streams.recent_trades.source == "websocket":
        found.append(Channel(RECENT_TRADES.table, named(MATCHES, symbol), _PATH))
    if tables := of_ticker(streams):
        found.append(Channel(tables[0], named(TICKER, symbol), _PATH, tables[1:]))
    if streams.order_book is not None and streams.order_book.source == "websocket":
        found.append(Channel(ORDER_BOOK.table, named(BOOK, symbol), _PATH))
    return found


def of_ticker(streams: Streams) -> tuple[str, ...]:
    """Return the tables that the channel `ticker` fills."""
    wanted = {CRYPTO_24H_STATS.table: streams.crypto_24h_stats, LATEST_PRICES.table: streams.latest_prices}
    tables = [table for table, it in wanted.items() if it is not None and it.source == "websocket"]
    return (*tables, BEST_QUOTES.table) if streams.best_quotes is not None else tuple(tables)


def named(channel: str, product: str) -> str:
    return f"{channel}:{product}"


def subscribe(_: int, names: Sequence[str]) -> str:
    return _command("subscribe", names)


def unsubscribe(_: int, names: Sequence[str]) -> str:
    return _command("unsubscribe", names)


def _command(kind: str, names: Sequence[str]) -> str:
    channels: dict[str, list[str]] = {}
    for name in names:
        channel, _, product = name.partition(":")
        channels.setdefault(channel, []).append(product)
    listed = [{"name": channel, "product_ids": products} for channel, products in channels.items()]
    return msgspec.json.encode({"type": kind, "channels": listed}).decode()
