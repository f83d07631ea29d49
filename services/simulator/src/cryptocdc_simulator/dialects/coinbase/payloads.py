"""The venue's messages, with fields as documented by Coinbase Exchange (2026-09).

Times are ISO 8601 with microseconds. Trades have the side of the maker, tickers that of the taker.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import Level
from cryptocdc_simulator.market.decimals import plain, text, trimmed
from cryptocdc_simulator.market.stats import Stats
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Raw

Json = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEQUENCES = 7  # sequence numbers from one trade to the next


def iso(milliseconds: int, microseconds: int = 0) -> str:
    at = _EPOCH + timedelta(milliseconds=milliseconds, microseconds=microseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_of(trade: Raw) -> str:
    """Trades of the same millisecond differ by microseconds."""
    return iso(trade.time, trade.id % 1000)


def sequence_of(trade_id: int) -> int:
    """The sequence number of a trade's message; those in between are about orders, which no public channel has."""
    return (trade_id + 1) * _SEQUENCES


def _price(instrument: Instrument, ticks: int) -> str:
    return plain(ticks, instrument.price_decimals)


def _size(instrument: Instrument, steps: int) -> str:
    return text(steps, instrument.quantity_decimals)


def _maker(trade: Raw) -> str:
    return "buy" if trade.buyer_is_maker else "sell"


def _taker(trade: Raw) -> str:
    return "sell" if trade.buyer_is_maker else "buy"


def _order(instrument: Instrument, trade: Raw, which: str) -> str:
    key = randomness.key(instrument.symbol, which)
    return str(UUID(int=randomness.draw(key, 2 * trade.id) << 64 | randomness.draw(key, 2 * trade.id + 1)))


def match(instrument: Instrument, trade: Raw, kind: str = "match") -> Json:
    return {
        "type": kind,
        "trade_id": trade.id,
        "maker_order_id": _order(instrument, trade, "maker"),
        "taker_order_id": _order(instrument, trade, "taker"),
        "side": _maker(trade),
        "size": trimmed(trade.quantity, instrument.quantity_decimals),
        "price": trimmed(trade.price, instrument.price_decimals),
        "product_id": instrument.symbol,
        "sequence": sequence_of(trade.id),
        "time": time_of(trade),
    }


def trade_row(instrument: Instrument, trade: Raw) -> Json:
    return {
        "trade_id": trade.id,
        "side": _maker(trade),
        "size": _size(instrument, trade.quantity),
        "price": text(trade.price, instrument.price_decimals),
        "time": time_of(trade),
    }


def ticker_event(instrument: Instrument, trade: Raw, stats: Stats, month_volume: int) -> Json:
    """`trade`: the last one; `month_volume`: of 30 days, in steps."""
    bar = stats.bar
    return {
        "type": "ticker",
        "sequence": sequence_of(trade.id),
        "product_id": instrument.symbol,
        "price": _price(instrument, trade.price),
        "open_24h": _price(instrument, bar.open),
        "volume_24h": _size(instrument, bar.volume),
        "low_24h": _price(instrument, bar.low),
        "high_24h": _price(instrument, bar.high),
        "volume_30d": _size(instrument, month_volume),
        "best_bid": _price(instrument, stats.bid[0]),
        "best_bid_size": _size(instrument, stats.bid[1]),
        "best_ask": _price(instrument, stats.ask[0]),
        "best_ask_size": _size(instrument, stats.ask[1]),
        "side": _taker(trade),
        "time": time_of(trade),
        "trade_id": trade.id,
        "last_size": trimmed(trade.quantity, instrument.quantity_decimals),
    }


def ticker_row(instrument: Instrument, trade: Raw, stats: Stats) -> Json:
    return {
        "ask": _price(instrument, stats.ask[0]),
        "bid": _price(instrument, stats.bid[0]),
        "volume": _size(instrument, stats.bar.volume),
        "trade_id": trade.id,
        "price": _price(instrument, trade.price),
        "size": _size(instrument, trade.quantity),
        "time": time_of(trade),
    }


def stats_row(instrument: Instrument, stats: Stats, month_volume: int) -> Json:
    bar = stats.bar
    return {
        "open": _price(instrument, bar.open),
        "high": _price(instrument, bar.high),
        "low": _price(instrument, bar.low),
        "last": _price(instrument, bar.close),
        "volume": _size(instrument, bar.volume),
        "volume_30day": _size(instrument, month_volume),
    }


def all_stats_row(instrument: Instrument, stats: Stats, month_volume: int) -> Json:
    """One product of /products/stats, which is undocumented, although the venue's own pages use it."""
    day = stats_row(instrument, stats, month_volume)
    return {"stats_30day": {"volume": day.pop("volume_30day")}, "stats_24hour": day}


def candle(instrument: Instrument, open_time: int, bar: Bar) -> list[Any]:
    """Return [time in seconds, low, high, open, close, volume], all as exact JSON numbers."""
    prices = (trimmed(price, instrument.price_decimals) for price in (bar.low, bar.high, bar.open, bar.close))
    volume = trimmed(bar.volume, instrument.quantity_decimals)
    return [open_time // 1000, *(msgspec.Raw(number.encode()) for number in (*prices, volume))]


def levels(instrument: Instrument, side: list[Level]) -> list[list[str]]:
    return [[_price(instrument, price), _size(instrument, size)] for price, size in side]


def snapshot(instrument: Instrument, bids: list[Level], asks: list[Level], now: int) -> Json:
    return {
        "type": "snapshot",
        "product_id": instrument.symbol,
        "asks": levels(instrument, asks),
        "bids": levels(instrument, bids),
        "time": iso(now),
    }


def l2update(instrument: Instrument, bids: list[Level], asks: list[Level], now: int) -> Json:
    changes = [["buy", *level] for level in levels(instrument, bids)]
    changes += [["sell", *level] for level in levels(instrument, asks)]
    return {"type": "l2update", "product_id": instrument.symbol, "changes": changes, "time": iso(now)}


def book(instrument: Instrument, bids: list[Level], asks: list[Level], sequence: int, now: int) -> Json:
    """Return [price, size, number of orders] of each level."""
    sides = {
        name: [[*written, level[1] % 9 + 1] for written, level in zip(levels(instrument, side), side, strict=True)]
        for name, side in (("bids", bids), ("asks", asks))
    }
    return {**sides, "sequence": sequence, "auction_mode": False, "auction": None, "time": iso(now)}


def heartbeat(instrument: Instrument, trade_id: int, now: int) -> Json:
    return {
        "type": "heartbeat",
        "last_trade_id": trade_id,
        "product_id": instrument.symbol,
        "sequence": sequence_of(trade_id),
        "time": iso(now),
    }
