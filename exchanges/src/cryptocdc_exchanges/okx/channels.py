"""Names of channels and the commands that subscribe to them. A channel is named here as `channel:market`, one of all
markets of a kind as `channel:kind`.

Source: https://www.okx.com/docs-v5/en/#overview-websocket
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    LIQUIDATIONS,
    MARK_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.feed.streams import Streams
from cryptocdc_exchanges.okx import swaps
from cryptocdc_exchanges.okx.bars import BARS
from cryptocdc_exchanges.port import Channel, ConnectionLimits

_PUBLIC, _BUSINESS = "/ws/v5/public", "/ws/v5/business"
TRADES = {"aggregate": "trades", "trade": "trades-all"}
"""By kind: `trades` has what one order took at one price as one, `trades-all` each trade."""
BOOKS, QUOTES, TICKERS, CANDLES = "books", "bbo-tbt", "tickers", "candle"
MARKS, INDEXES, FUNDING = "mark-price", "index-tickers", "funding-rate"
FORCED = "liquidation-orders"
"""Of all markets of a kind."""

limits = ConnectionLimits(
    channels=100,  # more are allowed; with fewer a cut hurts fewer
    channels_per_command=50,  # 64 KB of arguments are allowed
    command_every_s=0.5,
    attempts=2,  # three a second are allowed
    attempts_s=1.0,
    commands=400,  # 480 an hour are allowed on one connection
    ping="ping",
    ping_every_s=20.0,  # a connection is closed after 30 s without a message
)


def of(streams: Streams, symbol: str) -> list[Channel]:
    found: list[tuple[str, str, str, tuple[str, ...]]] = []
    trades, klines = streams.recent_trades, streams.klines
    if trades is not None:
        path = _PUBLIC if trades.kind == "aggregate" else _BUSINESS
        found.append((RECENT_TRADES.table, TRADES[trades.kind], path, ()))
    if klines is not None:
        found += [(KLINES.table, CANDLES + BARS[interval], _BUSINESS, ()) for interval in klines.intervals]
    if tables := of_tickers(streams):
        found.append((tables[0], TICKERS, _PUBLIC, tables[1:]))
    if streams.order_book is not None and streams.order_book.source == "websocket":
        found.append((ORDER_BOOK.table, BOOKS, _PUBLIC, ()))
    if streams.best_quotes is not None:
        found.append((BEST_QUOTES.table, QUOTES, _PUBLIC, ()))
    made = [Channel(table, named(channel, symbol), path, also) for table, channel, path, also in found]
    return made + (_of_swap(streams, symbol) if swaps.is_swap(symbol) else [])


def _of_swap(streams: Streams, symbol: str) -> list[Channel]:
    found: list[Channel] = []
    if streams.mark_prices is not None:
        parts = ((MARKS, symbol), (INDEXES, swaps.index_of(symbol)), (FUNDING, symbol))
        found += [Channel(MARK_PRICES.table, named(*part), _PUBLIC) for part in parts]
    if streams.liquidations is not None:
        found.append(Channel(LIQUIDATIONS.table, named(FORCED, swaps.KIND), _PUBLIC))
    return found


def of_tickers(streams: Streams) -> tuple[str, ...]:
    """Return the tables that the channel of tickers fills."""
    stats, prices = streams.crypto_24h_stats, streams.latest_prices
    wanted = {CRYPTO_24H_STATS.table: stats, LATEST_PRICES.table: prices}
    return tuple(table for table, it in wanted.items() if it is not None and it.source == "websocket")


def named(channel: str, subject: str) -> str:
    """Return the name of the channel of a market or of an index; of `FORCED` the subject is a kind of markets."""
    return f"{channel}:{subject}"


def subscribe(number: int, names: Sequence[str]) -> str:
    return _command("subscribe", number, names)


def unsubscribe(number: int, names: Sequence[str]) -> str:
    return _command("unsubscribe", number, names)


def _command(operation: str, number: int, names: Sequence[str]) -> str:
    args = [_arg(*name.split(":")) for name in names]
    return msgspec.json.encode({"id": str(number), "op": operation, "args": args}).decode()


def _arg(channel: str, subject: str) -> dict[str, str]:
    return {"channel": channel, "instType" if channel == FORCED else "instId": subject}
