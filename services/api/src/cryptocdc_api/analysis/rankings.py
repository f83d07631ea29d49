"""Who leads: by trades, by volume, by gain, by loss. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from cryptocdc_api.shapes import Json
from cryptocdc_core.ddl import DAY_MS

By = Literal["trades", "volume", "quote_volume", "gain", "loss"]

COLUMNS: dict[By, str] = {
    "trades": "trade_count",
    "volume": "volume",
    "quote_volume": "quote_volume",
    "gain": "price_change_percent",
    "loss": "price_change_percent",
}


def top(rows: Iterable[Json], by: By, n: int, now_ms: int) -> list[Json]:
    """The first `n` of the newest 24-hour statistics with their rank. Who has not gained is no gainer, nor the other
    way round; those that tie stand in the order of their names. A symbol that is no longer captured or traded leaves
    its last statistics behind: those of a time more than 24 hours ago say nothing of these 24. A symbol whose exchange
    does not report the figure is left out."""
    column = COLUMNS[by]
    recent = (row for row in rows if row[column] is not None and now_ms - row["event_time_ms"] <= DAY_MS)
    valued = [(Decimal(row[column]), row) for row in recent]
    if by == "gain":
        valued = [(value, row) for value, row in valued if value > 0]
    if by == "loss":
        valued = [(-value, row) for value, row in valued if value < 0]
    valued.sort(key=lambda item: (-item[0], item[1]["symbol"]))
    return [{"rank": rank, **row} for rank, (_, row) in enumerate(valued[:n], 1)]
