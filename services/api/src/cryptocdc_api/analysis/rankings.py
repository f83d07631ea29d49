"""Rankings of symbols by trades, volume, gain or loss. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from cryptocdc_api.shapes import Json
from cryptocdc_core.storage.ddl import DAY_MS

By = Literal["trades", "volume", "quote_volume", "gain", "loss"]

COLUMNS: dict[By, str] = {
    "trades": "trade_count",
    "volume": "volume",
    "quote_volume": "quote_volume",
    "gain": "price_change_percent",
    "loss": "price_change_percent",
}


def top(rows: Iterable[Json], by: By, n: int, now_ms: int) -> list[Json]:
    """Return the first `n` of the newest 24-hour statistics with their rank; ties are ordered by name. Only a symbol
    with a gain counts for `gain`, only one with a loss for `loss`. Left out are symbols whose exchange does not report
    the figure, and statistics older than 24 hours: those of symbols that are no longer captured or traded."""
    column = COLUMNS[by]
    recent = (row for row in rows if row[column] is not None and now_ms - row["event_time_ms"] <= DAY_MS)
    valued = [(Decimal(row[column]), row) for row in recent]
    if by == "gain":
        valued = [(value, row) for value, row in valued if value > 0]
    if by == "loss":
        valued = [(-value, row) for value, row in valued if value < 0]
    valued.sort(key=lambda item: (-item[0], item[1]["symbol"]))
    return [{"rank": rank, **row} for rank, (_, row) in enumerate(valued[:n], 1)]
