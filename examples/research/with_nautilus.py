"""Trade ticks and bars for nautilus_trader from exported files: python with_nautilus.py FOLDER SYMBOL VENUE"""

import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow.dataset as ds
from nautilus_trader.model.data import Bar, BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity


def rows(folder: str, stream: str, symbol: str, time: str) -> list[dict[str, Any]]:
    found = ds.dataset(f"{folder}/stream={stream}/symbol={symbol}").to_table()
    return found.sort_by(time).to_pylist()


def digits(values: list[Decimal]) -> int:
    """The digits after the point that all values need: an instrument has one precision."""
    return max((-value.normalize().as_tuple().exponent for value in values), default=0)


def ns(at: Any) -> int:
    """Nanoseconds since the epoch, exactly."""
    return round(at.timestamp() * 1_000_000) * 1000


def trade_ticks(folder: str, symbol: str, venue: str) -> Iterator[TradeTick]:
    found = rows(folder, "recentTrades", symbol, "trade_id")
    price, size = (max(0, digits([row[name] for row in found])) for name in ("price", "quantity"))
    for row in found:
        yield TradeTick(
            instrument_id=InstrumentId.from_str(f"{symbol}.{venue}"),
            price=Price(row["price"], price),
            size=Quantity(row["quantity"], size),
            aggressor_side=AggressorSide.SELLER if row["buyer_is_maker"] else AggressorSide.BUYER,
            trade_id=TradeId(str(row["trade_id"])),
            ts_event=ns(row["trade_time"]),
            ts_init=ns(row["received_at"]),
        )


def bars(folder: str, symbol: str, venue: str) -> Iterator[Bar]:
    """The closed candles of a minute."""
    found = [row for row in rows(folder, "klines", symbol, "open_time") if row["interval"] == "1m" and row["closed"]]
    price = max(0, digits([row[name] for row in found for name in ("open", "high", "low", "close")]))
    size = max(0, digits([row["volume"] for row in found]))
    kind = BarType.from_str(f"{symbol}.{venue}-1-MINUTE-LAST-EXTERNAL")
    for row in found:
        prices = [Price(row[name], price) for name in ("open", "high", "low", "close")]
        yield Bar(kind, *prices, Quantity(row["volume"], size), ns(row["close_time"]), ns(row["received_at"]))


if __name__ == "__main__":
    for kind in (trade_ticks, bars):
        made = list(kind(*sys.argv[1:4]))
        print(f"{len(made):,} {kind.__name__}:", made[-1] if made else "none")
