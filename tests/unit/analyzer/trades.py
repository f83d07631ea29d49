"""Trades of a window, and their changes as the connector sends them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_analyzer.windows.series import Added, Series, Windows

START_MS = 1_790_000_000_000 - 1_790_000_000_000 % 60_000
LENGTHS = {"5s": 5_000, "1m": 60_000}
SERIES = {Series("bars", interval): length for interval, length in LENGTHS.items()}


def trade(
    at: int,
    id: int | None = None,
    price: str = "100",
    quantity: str = "1",
    bought: bool = True,
    symbol: str = "BTCUSDT",
) -> Trade:
    """A trade `at` milliseconds after START_MS."""
    at_ms = START_MS + at
    number = at if id is None else id
    return Trade(symbol, at_ms, number, Decimal(price), Decimal(quantity), bought, at_ms + 10, at_ms * 1000 + 20_000)


def change_of(made: Trade, op: str = "c") -> bytes:
    return json.dumps(
        {
            "symbol": made.symbol, "trade_time": made.at_ms, "trade_id": made.id, "price": format(made.price, "f"),
            "quantity": format(made.quantity, "f"), "first_trade_id": made.id, "last_trade_id": made.id,
            "buyer_is_maker": not made.bought, "received_at": made.received_ms, "version": made.at_ms * 1000,
            "__op": op, "__lsn": 1, "__source_ts_us": made.committed_us, "__deleted": "false",
        }
    ).encode()  # fmt: skip


def resolve(windows: Windows, *stored: Trade, symbol: str = "BTCUSDT") -> Added:
    """Resolve the unknown windows of a symbol with stored trades, in pages of two."""
    found = Added()
    for _ in windows.resolve(symbol, [stored[at : at + 2] for at in range(0, len(stored), 2)], found):
        pass
    return found


def begin(windows: Windows, *symbols: str) -> None:
    """Make all windows of symbols known that begin after the program has read the partition for a minute: the first
    trade of each is one of the day before."""
    for symbol in symbols or ("BTCUSDT",):
        windows.add(trade(-86_400_000, symbol=symbol), Added())
        resolve(windows, symbol=symbol)
    windows.take()


def bars_of(rows: list[tuple[str, dict[str, Any], int]]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The rows by symbol, interval and milliseconds after START_MS."""
    return {(row["symbol"], row["interval"], row["open_time"] - START_MS): row for _, row, _ in rows}
