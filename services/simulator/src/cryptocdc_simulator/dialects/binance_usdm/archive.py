"""The files of the public archive for USD-M futures: each begins with a header line, and times are milliseconds."""

from __future__ import annotations

from functools import lru_cache

from cryptocdc_simulator.archive.files import AGGREGATES, KLINES, TRADES, Format
from cryptocdc_simulator.dialects.binance.archive import KLINE_TITLES, kline_line
from cryptocdc_simulator.dialects.binance_usdm import payloads
from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.decimals import plain
from cryptocdc_simulator.market.klines import INTERVALS
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

_TITLES = {
    KLINES: KLINE_TITLES,
    AGGREGATES: "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    TRADES: "id,price,qty,quote_qty,time,is_buyer_maker",
}
_decimal = lru_cache(maxsize=65_536)(plain)
_BOOLEANS = ("false", "true")


def _aggregate(instrument: Instrument, trade: Aggregate, unit: int) -> str:
    id, price, quantity, first, last, time, maker = trade
    price_text, quantity_text = (
        _decimal(price, instrument.price_decimals),
        _decimal(quantity, instrument.quantity_decimals),
    )
    return f"{id},{price_text},{quantity_text},{first},{last},{time * unit},{_BOOLEANS[maker]}"


def _trade(instrument: Instrument, trade: Raw, unit: int) -> str:
    row = payloads.trade_row(instrument, trade)
    maker = _BOOLEANS[trade.buyer_is_maker]
    return f"{trade.id},{row['price']},{row['qty']},{row['quoteQty']},{trade.time * unit},{maker}"


def _kline(instrument: Instrument, open_time: int, close_time: int, bar: Bar, unit: int) -> str:
    return kline_line(payloads.kline_row(instrument, open_time, close_time, bar), unit)


FUTURES = Format(
    "data/futures/um",
    _TITLES,
    True,
    tuple(interval for interval in INTERVALS if interval != "1s"),
    None,
    _aggregate,
    _trade,
    _kline,
)
