"""Channel names and the connections that carry them.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams. Since 2026-04-23
order books use another path than all other market data; a subscription at the wrong one is acknowledged but stays
silent. A server pings every 3 minutes, which the WebSocket library answers.
"""

from __future__ import annotations

from cryptocdc_core.catalogue.streams import BEST_QUOTES, LIQUIDATIONS, MARK_PRICES, ORDER_BOOK
from cryptocdc_core.feed.streams import Streams
from cryptocdc_exchanges.binance import channels
from cryptocdc_exchanges.binance.channels import subscribe, unsubscribe
from cryptocdc_exchanges.port import Channel, ConnectionLimits

__all__ = ["limits", "of", "subscribe", "unsubscribe"]

_MARKET, _PUBLIC = "/market/stream", "/public/stream"
_PUBLIC_TABLES = frozenset({ORDER_BOOK.table, BEST_QUOTES.table})

limits = ConnectionLimits(
    channels=200,  # 1,024 are allowed; with fewer a disconnect affects fewer
    channels_per_command=100,
    command_every_s=0.15,  # ten messages a second are allowed, pings included
    attempts=250,  # those of the spot market, since none are documented
    attempts_s=300.0,
    max_age_s=23 * 3600 + 50 * 60.0,  # it is closed after 24 hours
)


def of(streams: Streams, symbol: str) -> list[Channel]:
    found = [
        channel._replace(path=_PUBLIC if channel.table in _PUBLIC_TABLES else _MARKET)
        for channel in channels.of(streams, symbol)
    ]
    if streams.mark_prices is not None:
        found.append(Channel(MARK_PRICES.table, f"{symbol.lower()}@markPrice@1s", _MARKET))
    if streams.liquidations is not None:
        found.append(Channel(LIQUIDATIONS.table, f"{symbol.lower()}@forceOrder", _MARKET))
    return found
