"""The exchange's messages: one function for each shape of the REST and the WebSocket API.

Field names and their order as documented by Binance (spot API, 2026-07). Rows of REST and events of the WebSocket are
formatted from the same integers by the same `text`, so that they agree digit by digit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import Diff, Level
from cryptocdc_simulator.market.decimals import PRECISION, text
from cryptocdc_simulator.market.market import Listing
from cryptocdc_simulator.market.stats import Stats
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

Json = dict[str, Any]


def price_of(instrument: Instrument, ticks: int) -> str:
    return text(ticks, instrument.price_decimals)


def quantity_of(instrument: Instrument, steps: int) -> str:
    return text(steps, instrument.quantity_decimals)


def volume_of(instrument: Instrument, ticks_steps: int) -> str:
    return text(ticks_steps, instrument.quote_decimals)


def trade_event(instrument: Instrument, trade: Raw, event_time: int) -> Json:
    return {
        "e": "trade",
        "E": event_time,
        "s": instrument.symbol,
        "t": trade.id,
        "p": price_of(instrument, trade.price),
        "q": quantity_of(instrument, trade.quantity),
        "T": trade.time,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def trade_row(instrument: Instrument, trade: Raw) -> Json:
    return {
        "id": trade.id,
        "price": price_of(instrument, trade.price),
        "qty": quantity_of(instrument, trade.quantity),
        "quoteQty": volume_of(instrument, trade.price * trade.quantity),
        "time": trade.time,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_row(instrument: Instrument, trade: Aggregate) -> Json:
    return {
        "a": trade.id,
        "p": price_of(instrument, trade.price),
        "q": quantity_of(instrument, trade.quantity),
        "f": trade.first,
        "l": trade.last,
        "T": trade.time,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def aggregate_event(instrument: Instrument, trade: Aggregate, event_time: int) -> Json:
    return {"e": "aggTrade", "E": event_time, "s": instrument.symbol, **aggregate_row(instrument, trade)}


def kline_event(
    instrument: Instrument, interval: str, open_time: int, close_time: int, bar: Bar, closed: bool, event_time: int
) -> Json:
    return {
        "e": "kline",
        "E": event_time,
        "s": instrument.symbol,
        "k": {
            "t": open_time,
            "T": close_time,
            "s": instrument.symbol,
            "i": interval,
            "f": bar.first,
            "L": bar.last,
            "o": price_of(instrument, bar.open),
            "c": price_of(instrument, bar.close),
            "h": price_of(instrument, bar.high),
            "l": price_of(instrument, bar.low),
            "v": quantity_of(instrument, bar.volume),
            "n": bar.trades,
            "x": closed,
            "q": volume_of(instrument, bar.quote),
            "V": quantity_of(instrument, bar.volume_taken),
            "Q": volume_of(instrument, bar.quote_taken),
            "B": "0",
        },
    }


def kline_row(instrument: Instrument, open_time: int, close_time: int, bar: Bar) -> list[Any]:
    return [
        open_time,
        price_of(instrument, bar.open),
        price_of(instrument, bar.high),
        price_of(instrument, bar.low),
        price_of(instrument, bar.close),
        quantity_of(instrument, bar.volume),
        close_time,
        volume_of(instrument, bar.quote),
        bar.trades,
        quantity_of(instrument, bar.volume_taken),
        volume_of(instrument, bar.quote_taken),
        "0",
    ]


def _weighted_average(instrument: Instrument, bar: Bar) -> str:
    """Return the quote volume divided by the volume, truncated to eight decimals."""
    if bar.volume == 0:
        return text(0, PRECISION)
    scale: int = 10 ** (PRECISION - instrument.price_decimals)
    return text(bar.quote * scale // bar.volume, PRECISION)


def average_price(instrument: Instrument, minutes: int, bar: Bar, close_time: int) -> Json:
    return {"mins": minutes, "price": _weighted_average(instrument, bar), "closeTime": close_time}


def ticker_event(instrument: Instrument, stats: Stats, event_time: int) -> Json:
    bar = stats.bar
    return {
        "e": "24hrTicker",
        "E": event_time,
        "s": instrument.symbol,
        "p": price_of(instrument, stats.change),
        "P": stats.change_percent,
        "w": _weighted_average(instrument, bar),
        "x": price_of(instrument, stats.previous_close),
        "c": price_of(instrument, bar.close),
        "Q": quantity_of(instrument, stats.last_quantity),
        "b": price_of(instrument, stats.bid[0]),
        "B": quantity_of(instrument, stats.bid[1]),
        "a": price_of(instrument, stats.ask[0]),
        "A": quantity_of(instrument, stats.ask[1]),
        "o": price_of(instrument, bar.open),
        "h": price_of(instrument, bar.high),
        "l": price_of(instrument, bar.low),
        "v": quantity_of(instrument, bar.volume),
        "q": volume_of(instrument, bar.quote),
        "O": stats.open_time,
        "C": stats.close_time,
        "F": bar.first,
        "L": bar.last,
        "n": bar.trades,
    }


def ticker_row(instrument: Instrument, stats: Stats) -> Json:
    bar = stats.bar
    return {
        "symbol": instrument.symbol,
        "priceChange": price_of(instrument, stats.change),
        "priceChangePercent": stats.change_percent,
        "weightedAvgPrice": _weighted_average(instrument, bar),
        "prevClosePrice": price_of(instrument, stats.previous_close),
        "lastPrice": price_of(instrument, bar.close),
        "lastQty": quantity_of(instrument, stats.last_quantity),
        "bidPrice": price_of(instrument, stats.bid[0]),
        "bidQty": quantity_of(instrument, stats.bid[1]),
        "askPrice": price_of(instrument, stats.ask[0]),
        "askQty": quantity_of(instrument, stats.ask[1]),
        "openPrice": price_of(instrument, bar.open),
        "highPrice": price_of(instrument, bar.high),
        "lowPrice": price_of(instrument, bar.low),
        "volume": quantity_of(instrument, bar.volume),
        "quoteVolume": volume_of(instrument, bar.quote),
        "openTime": stats.open_time,
        "closeTime": stats.close_time,
        "firstId": bar.first,
        "lastId": bar.last,
        "count": bar.trades,
    }


_MINI = (
    *("symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume"),
    *("openTime", "closeTime", "firstId", "lastId", "count"),
)


def mini_ticker_row(instrument: Instrument, stats: Stats) -> Json:
    row = ticker_row(instrument, stats)
    return {name: row[name] for name in _MINI}


def mini_ticker_event(instrument: Instrument, stats: Stats, event_time: int) -> Json:
    bar = stats.bar
    return {
        "e": "24hrMiniTicker",
        "E": event_time,
        "s": instrument.symbol,
        "c": price_of(instrument, bar.close),
        "o": price_of(instrument, bar.open),
        "h": price_of(instrument, bar.high),
        "l": price_of(instrument, bar.low),
        "v": quantity_of(instrument, bar.volume),
        "q": volume_of(instrument, bar.quote),
    }


def levels(instrument: Instrument, side: list[Level]) -> list[list[str]]:
    return [_level(instrument.price_decimals, instrument.quantity_decimals, level) for level in side]


@lru_cache(maxsize=65_536)  # one level is repeated
def _level(price_decimals: int, quantity_decimals: int, level: Level) -> list[str]:
    return [text(level[0], price_decimals), text(level[1], quantity_decimals)]


def depth(instrument: Instrument, update_id: int, bids: list[Level], asks: list[Level]) -> Json:
    """Return a snapshot: the response of /depth and the frame of a partial depth stream."""
    return {"lastUpdateId": update_id, "bids": levels(instrument, bids), "asks": levels(instrument, asks)}


def depth_event(instrument: Instrument, diff: Diff, event_time: int) -> Json:
    return {
        "e": "depthUpdate",
        "E": event_time,
        "s": instrument.symbol,
        "U": diff.first_update,
        "u": diff.last_update,
        "b": levels(instrument, diff.bids),
        "a": levels(instrument, diff.asks),
    }


def book_ticker_row(instrument: Instrument, bid: Level, ask: Level) -> Json:
    return {
        "symbol": instrument.symbol,
        "bidPrice": price_of(instrument, bid[0]),
        "bidQty": quantity_of(instrument, bid[1]),
        "askPrice": price_of(instrument, ask[0]),
        "askQty": quantity_of(instrument, ask[1]),
    }


def book_ticker_event(instrument: Instrument, update_id: int, bid: Level, ask: Level, _: int) -> Json:
    """The event has no time."""
    return {
        "u": update_id,
        "s": instrument.symbol,
        "b": price_of(instrument, bid[0]),
        "B": quantity_of(instrument, bid[1]),
        "a": price_of(instrument, ask[0]),
        "A": quantity_of(instrument, ask[1]),
    }


def maintained(infos: list[Json], kind: str) -> list[Json]:
    """Return what exchangeInfo lists instead of `infos` during maintenance of `kind`; `infos` if there is none."""
    match kind:
        case "odd-market":
            # As once listed by the exchange: a single test market.
            return [{"symbol": "123456", "status": "TRADING", "baseAsset": "123", "quoteAsset": "456"}]
        case "break":
            return [{**info, "status": "BREAK"} for info in infos]
        case "empty":
            return []
    return infos


def symbol_info(listing: Listing) -> Json:
    """One entry of exchangeInfo's `symbols`."""
    instrument = listing.instrument
    tick, step = price_of(instrument, 1), quantity_of(instrument, 1)
    return {
        "symbol": instrument.symbol,
        "status": "TRADING" if listing.trading else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": PRECISION,
        "quoteAsset": instrument.quote,
        "quotePrecision": PRECISION,
        "quoteAssetPrecision": PRECISION,
        "baseCommissionPrecision": PRECISION,
        "quoteCommissionPrecision": PRECISION,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": text(10**6, 0), "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": text(9 * 10**8, 0), "stepSize": step},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def exchange_info(symbols: list[Json], weight_limit: int, server_time: int) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "simulated": True,  # an extension, with which programs can mark the data as simulated
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": weight_limit,
            },
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    }
