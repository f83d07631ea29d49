"""The venue's messages. Field names and their order are as documented by Binance (USDS-M futures, 2026-09).

Unlike on the spot market, prices and quantities have the decimals of the symbol's tick and step; mark prices have
eight.
"""

from __future__ import annotations

from typing import Any

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import Diff, Level
from cryptocdc_simulator.market.decimals import plain, text
from cryptocdc_simulator.market.market import EPOCH_MS, Listing
from cryptocdc_simulator.market.perpetual import INTEREST_RATE, Mark
from cryptocdc_simulator.market.stats import Stats
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

Json = dict[str, Any]
NO_DELIVERY_MS = 4_133_404_800_000
"""The delivery date of a perpetual contract."""


def price_of(instrument: Instrument, ticks: int) -> str:
    return plain(ticks, instrument.price_decimals)


def quantity_of(instrument: Instrument, steps: int) -> str:
    return plain(steps, instrument.quantity_decimals)


def volume_of(instrument: Instrument, ticks_steps: int) -> str:
    return plain(ticks_steps, instrument.quote_decimals)


def aggregate_row(instrument: Instrument, trade: Aggregate) -> Json:
    return {
        "a": trade.id,
        "p": price_of(instrument, trade.price),
        "q": quantity_of(instrument, trade.quantity),
        "f": trade.first,
        "l": trade.last,
        "T": trade.time,
        "m": trade.buyer_is_maker,
    }


def aggregate_event(instrument: Instrument, trade: Aggregate, event_time: int) -> Json:
    row = aggregate_row(instrument, trade)
    return {"e": "aggTrade", "E": event_time, "a": row.pop("a"), "s": instrument.symbol, **row}


def trade_row(instrument: Instrument, trade: Raw) -> Json:
    return {
        "id": trade.id,
        "price": price_of(instrument, trade.price),
        "qty": quantity_of(instrument, trade.quantity),
        "quoteQty": volume_of(instrument, trade.price * trade.quantity),
        "time": trade.time,
        "isBuyerMaker": trade.buyer_is_maker,
    }


def force_order(instrument: Instrument, trade: Aggregate, event_time: int) -> Json:
    """Return a liquidation: an order at a price that is certain to be filled, by `trade`."""
    side, margin = ("SELL", 99) if trade.buyer_is_maker else ("BUY", 101)
    quantity = quantity_of(instrument, trade.quantity)
    return {
        "e": "forceOrder",
        "E": event_time,
        "o": {
            "s": instrument.symbol,
            "S": side,
            "o": "LIMIT",
            "f": "IOC",
            "q": quantity,
            "p": price_of(instrument, trade.price * margin // 100),
            "ap": price_of(instrument, trade.price),
            "X": "FILLED",
            "l": quantity,
            "z": quantity,
            "T": trade.time,
        },
    }


def kline_row(instrument: Instrument, open_time: int, close_time: int, bar: Bar) -> list[Any]:
    return [
        open_time,
        *(price_of(instrument, price) for price in (bar.open, bar.high, bar.low, bar.close)),
        quantity_of(instrument, bar.volume),
        close_time,
        volume_of(instrument, bar.quote),
        bar.trades,
        quantity_of(instrument, bar.volume_taken),
        volume_of(instrument, bar.quote_taken),
        "0",
    ]


def kline_event(
    instrument: Instrument, interval: str, open_time: int, close_time: int, bar: Bar, closed: bool, event_time: int
) -> Json:
    row = kline_row(instrument, open_time, close_time, bar)
    kline = dict(zip("tohlcvTqnVQB", row, strict=True)) | {
        "s": instrument.symbol,
        "i": interval,
        "f": bar.first,
        "L": bar.last,
        "x": closed,
    }
    ordered = {name: kline[name] for name in "tTsifLochlvnxqVQB"}
    return {"e": "kline", "E": event_time, "s": instrument.symbol, "k": ordered}


def _weighted_average(instrument: Instrument, bar: Bar) -> str:
    return price_of(instrument, bar.quote // bar.volume if bar.volume else 0)


def ticker_row(instrument: Instrument, stats: Stats) -> Json:
    bar = stats.bar
    return {
        "symbol": instrument.symbol,
        "priceChange": price_of(instrument, stats.change),
        "priceChangePercent": stats.change_percent,
        "weightedAvgPrice": _weighted_average(instrument, bar),
        "lastPrice": price_of(instrument, bar.close),
        "lastQty": quantity_of(instrument, stats.last_quantity),
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


def ticker_event(instrument: Instrument, stats: Stats, event_time: int) -> Json:
    row = ticker_row(instrument, stats)
    return {"e": "24hrTicker", "E": event_time, **dict(zip("spPwcQohlvqOCFLn", row.values(), strict=True))}


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
    return [[price_of(instrument, price), quantity_of(instrument, quantity)] for price, quantity in side]


def depth(instrument: Instrument, update_id: int, bids: list[Level], asks: list[Level], now: int) -> Json:
    return {
        "lastUpdateId": update_id,
        "E": now,
        "T": now,
        "bids": levels(instrument, bids),
        "asks": levels(instrument, asks),
    }


def depth_event(instrument: Instrument, diff: Diff, previous: int, event_time: int) -> Json:
    """`previous`: the last update id of the previous event, by which events are chained."""
    return {
        "e": "depthUpdate",
        "E": event_time,
        "T": event_time,
        "s": instrument.symbol,
        "U": diff.first_update,
        "u": diff.last_update,
        "pu": previous,
        "b": levels(instrument, diff.bids),
        "a": levels(instrument, diff.asks),
    }


def book_ticker_row(instrument: Instrument, update_id: int, bid: Level, ask: Level, now: int) -> Json:
    return {
        "symbol": instrument.symbol,
        "bidPrice": price_of(instrument, bid[0]),
        "bidQty": quantity_of(instrument, bid[1]),
        "askPrice": price_of(instrument, ask[0]),
        "askQty": quantity_of(instrument, ask[1]),
        "time": now,
        "lastUpdateId": update_id,
    }


def book_ticker_event(instrument: Instrument, update_id: int, bid: Level, ask: Level, event_time: int) -> Json:
    return {
        "e": "bookTicker",
        "u": update_id,
        "s": instrument.symbol,
        "b": price_of(instrument, bid[0]),
        "B": quantity_of(instrument, bid[1]),
        "a": price_of(instrument, ask[0]),
        "A": quantity_of(instrument, ask[1]),
        "T": event_time,
        "E": event_time,
    }


def mark_event(instrument: Instrument, mark: Mark, event_time: int) -> Json:
    """A contract with a delivery date has no funding: the rate is empty, and the time 0."""
    return {
        "e": "markPriceUpdate",
        "E": event_time,
        "s": instrument.symbol,
        "p": text(mark.price, 8),
        "i": text(mark.index_price, 8),
        "P": text(mark.index_price, 8),
        "r": text(mark.funding_rate, 8) if instrument.perpetual else "",
        "T": mark.next_funding if instrument.perpetual else 0,
    }


def premium_index(instrument: Instrument, mark: Mark, now: int) -> Json:
    return {
        "symbol": instrument.symbol,
        "markPrice": text(mark.price, 8),
        "indexPrice": text(mark.index_price, 8),
        "estimatedSettlePrice": text(mark.index_price, 8),
        "lastFundingRate": text(mark.funding_rate, 8) if instrument.perpetual else "",
        "interestRate": text(INTEREST_RATE, 8) if instrument.perpetual else "",
        "nextFundingTime": mark.next_funding if instrument.perpetual else 0,
        "time": now,
    }


def open_interest(instrument: Instrument, steps: int, now: int) -> Json:
    return {"openInterest": quantity_of(instrument, steps), "symbol": instrument.symbol, "time": now}


def symbol_info(listing: Listing) -> Json:
    instrument = listing.instrument
    tick, step = price_of(instrument, 1), quantity_of(instrument, 1)
    lot = {"stepSize": step, "maxQty": "10000000", "minQty": step}
    return {
        "symbol": instrument.symbol,
        "pair": instrument.pair,
        "contractType": "PERPETUAL" if instrument.perpetual else "CURRENT_QUARTER",
        "deliveryDate": NO_DELIVERY_MS if instrument.perpetual else EPOCH_MS + 365 * 86_400_000,
        "onboardDate": EPOCH_MS,
        "status": "TRADING" if listing.trading else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"minPrice": tick, "maxPrice": "4529764", "filterType": "PRICE_FILTER", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
            {"notional": "5", "filterType": "MIN_NOTIONAL"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def maintained(infos: list[Json], kind: str) -> list[Json]:
    """Return what exchangeInfo lists instead of `infos` during maintenance of `kind`; `infos` if there is none."""
    match kind:
        case "odd-market":
            return [
                {"symbol": "123456", "contractType": "", "status": "TRADING", "baseAsset": "123", "quoteAsset": "456"}
            ]
        case "break":
            return [{**info, "status": "PENDING_TRADING"} for info in infos]
        case "empty":
            return []
    return infos


def exchange_info(symbols: list[Json], weight_limit: int, server_time: int) -> Json:
    quotes = sorted({info["quoteAsset"] for info in symbols})
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "futuresType": "U_MARGINED",
        "simulated": True,  # an extension, with which programs can mark the data as simulated
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "-10000"} for quote in quotes],
        "symbols": symbols,
    }
