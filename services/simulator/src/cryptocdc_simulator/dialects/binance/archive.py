"""The files of Binance's public archive: columns as documented in the README of binance-public-data (2026-09).

Spot files have no header line, and times in microseconds from 2025 on: a candle then closes one microsecond before the
next one opens. The digits of prices and quantities are those of REST.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptocdc_simulator.archive.files import AGGREGATES, KLINES, TRADES, Format
from cryptocdc_simulator.dialects.binance import payloads
from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.decimals import text
from cryptocdc_simulator.market.klines import INTERVALS
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

_decimal = lru_cache(maxsize=65_536)(text)  # files have millions of them, and most are repeated
_2025 = 1_735_689_600_000
KLINE_TITLES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
TITLES = {
    KLINES: KLINE_TITLES,
    AGGREGATES: ("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match"),
    TRADES: "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
}


def _aggregate(instrument: Instrument, trade: Aggregate, unit: int) -> str:
    id, price, quantity, first, last, time, maker = trade
    price_text, quantity_text = (
        _decimal(price, instrument.price_decimals),
        _decimal(quantity, instrument.quantity_decimals),
    )
    return f"{id},{price_text},{quantity_text},{first},{last},{time * unit},{maker},True"


def _trade(instrument: Instrument, trade: Raw, unit: int) -> str:
    row = payloads.trade_row(instrument, trade)
    return f"{trade.id},{row['price']},{row['qty']},{row['quoteQty']},{trade.time * unit},{trade.buyer_is_maker},True"


def _kline(instrument: Instrument, open_time: int, close_time: int, bar: Bar, unit: int) -> str:
    return kline_line(payloads.kline_row(instrument, open_time, close_time, bar), unit)


def kline_line(row: list[Any], unit: int) -> str:
    """Return a row of REST as a line, its times in `unit` of a millisecond."""
    opened, *prices, closed = row[:7]
    return ",".join(map(str, (opened * unit, *prices, (closed + 1) * unit - 1, *row[7:])))


SPOT = Format("data/spot", TITLES, False, tuple(INTERVALS), _2025, _aggregate, _trade, _kline)
