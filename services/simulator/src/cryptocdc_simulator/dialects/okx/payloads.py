"""What the venue says, in its words: fields as documented by OKX (API v5, 2026-09).

All numbers but sequence ids are strings, without zeros at the end. Sizes of swaps are numbers of contracts.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any
from zlib import crc32

from cryptocdc_simulator.dialects.okx.instruments import SWAP, kind_of
from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import Level
from cryptocdc_simulator.market.decimals import trimmed
from cryptocdc_simulator.market.market import Listing
from cryptocdc_simulator.market.perpetual import FUNDING_MS, Mark
from cryptocdc_simulator.market.stats import Stats
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

Json = dict[str, Any]
_CHECKED = 25  # levels of each side that the checksum covers
_DAY_MS, _HONG_KONG_MS = 86_400_000, 8 * 3_600_000


def price_of(instrument: Instrument, ticks: int) -> str:
    return trimmed(ticks, instrument.price_decimals)


def size_of(instrument: Instrument, steps: int) -> str:
    return trimmed(steps, instrument.quantity_decimals)


def base_of(instrument: Instrument, steps: int) -> str:
    """A size in the base currency."""
    return trimmed(steps, instrument.quantity_decimals - instrument.contract_exponent)


def quote_of(instrument: Instrument, ticks_steps: int) -> str:
    return trimmed(ticks_steps, instrument.quote_decimals - instrument.contract_exponent)


def _side(trade: Aggregate | Raw) -> str:
    """The taker's."""
    return "sell" if trade.buyer_is_maker else "buy"


def trade_row(instrument: Instrument, trade: Raw) -> Json:
    """A trade of its own, as REST and the channel `trades-all` have it."""
    return {
        "instId": instrument.symbol,
        "tradeId": str(trade.id),
        "px": price_of(instrument, trade.price),
        "sz": size_of(instrument, trade.quantity),
        "side": _side(trade),
        "ts": str(trade.time),
        "source": "0",
    }


def trades_push(instrument: Instrument, trade: Aggregate, seq_id: int) -> Json:
    """The channel `trades`: the trades of one taker order at one price. The id is that of the last of `count`."""
    return {
        "instId": instrument.symbol,
        "tradeId": str(trade.last),
        "px": price_of(instrument, trade.price),
        "sz": size_of(instrument, trade.quantity),
        "side": _side(trade),
        "ts": str(trade.time),
        "count": str(trade.last - trade.first + 1),
        "source": "0",
        "seqId": seq_id,
    }


def levels(instrument: Instrument, side: Iterable[Level]) -> list[list[str]]:
    """[price, size, "0", number of orders]; size and number are 0 where a level is gone."""
    return [
        [price_of(instrument, price), size_of(instrument, quantity), "0", str(quantity % 9 + 1 if quantity else 0)]
        for price, quantity in side
    ]


def checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """CRC-32, signed, of the best 25 levels in turn: bid price:size:ask price:size:…"""
    parts = []
    for pair in zip_longest(bids[:_CHECKED], asks[:_CHECKED]):
        parts += [f"{level[0]}:{level[1]}" for level in pair if level is not None]
    unsigned = crc32(":".join(parts).encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def candle(instrument: Instrument, open_time: int, bar: Bar, closed: bool) -> list[str]:
    return [
        str(open_time),
        *(price_of(instrument, price) for price in (bar.open, bar.high, bar.low, bar.close)),
        size_of(instrument, bar.volume),
        base_of(instrument, bar.volume),
        quote_of(instrument, bar.quote),
        "1" if closed else "0",
    ]


def _price_at(listing: Listing, start: int) -> int:
    """In ticks, of the first trade from `start` on."""
    first = min(listing.tape.first_id_at(start), max(listing.next_id() - 1, 0))
    return listing.tape.aggregate(first).price


def ticker(listing: Listing, stats: Stats, now: int) -> Json:
    """The volume in currency is that of the quote on a spot market, and of the base of a swap."""
    instrument, bar = listing.instrument, stats.bar
    in_currency = base_of(instrument, bar.volume) if kind_of(instrument) == SWAP else quote_of(instrument, bar.quote)
    return {
        "instType": kind_of(instrument),
        "instId": instrument.symbol,
        "last": price_of(instrument, bar.close),
        "lastSz": size_of(instrument, stats.last_quantity),
        "askPx": price_of(instrument, stats.ask[0]),
        "askSz": size_of(instrument, stats.ask[1]),
        "bidPx": price_of(instrument, stats.bid[0]),
        "bidSz": size_of(instrument, stats.bid[1]),
        "open24h": price_of(instrument, bar.open),
        "high24h": price_of(instrument, bar.high),
        "low24h": price_of(instrument, bar.low),
        "sodUtc0": price_of(instrument, _price_at(listing, now - now % _DAY_MS)),
        "sodUtc8": price_of(instrument, _price_at(listing, now - (now + _HONG_KONG_MS) % _DAY_MS)),
        "volCcy24h": in_currency,
        "vol24h": size_of(instrument, bar.volume),
        "ts": str(now),
    }


def mark_price(instrument: Instrument, mark: Mark, now: int) -> Json:
    return {"instId": instrument.symbol, "instType": SWAP, "markPx": trimmed(mark.price, 8), "ts": str(now)}


def index_ticker(listing: Listing, stats: Stats, now: int) -> Json:
    """Of the index that a swap follows: its statistics are those of the swap, less what the swap is dearer now."""
    instrument, mark, bar = listing.instrument, listing.contract.mark(now), stats.bar

    def less(ticks: int) -> str:
        return trimmed(ticks * mark.index_price // mark.price, instrument.price_decimals)

    return {
        "instId": f"{instrument.base}-{instrument.quote}",
        "idxPx": trimmed(mark.index_price, 8),
        "high24h": less(bar.high),
        "low24h": less(bar.low),
        "open24h": less(bar.open),
        "sodUtc0": less(_price_at(listing, now - now % _DAY_MS)),
        "sodUtc8": less(_price_at(listing, now - (now + _HONG_KONG_MS) % _DAY_MS)),
        "ts": str(now),
    }


def funding_rate(instrument: Instrument, mark: Mark, now: int) -> Json:
    return {
        "formulaType": "withRate",
        "fundingRate": trimmed(mark.funding_rate, 8),
        "fundingTime": str(mark.next_funding),
        "impactValue": "20000",
        "instId": instrument.symbol,
        "instType": SWAP,
        "interestRate": "0.0001",
        "maxFundingRate": "0.00375",
        "method": "current_period",
        "minFundingRate": "-0.00375",
        "nextFundingRate": "",
        "nextFundingTime": str(mark.next_funding + FUNDING_MS),
        "premium": trimmed(mark.price * 10**8 // mark.index_price - 10**8, 8),
        "settFundingRate": trimmed(mark.settled_rate, 8),
        "settState": "settled",
        "ts": str(now),
    }


def open_interest(instrument: Instrument, steps: int, mark: Mark, now: int) -> Json:
    """In contracts, in the base currency and in US dollars."""
    dollars = steps * mark.price // 10 ** (8 + instrument.quantity_decimals)
    return {
        "instId": instrument.symbol,
        "instType": SWAP,
        "oi": size_of(instrument, steps),
        "oiCcy": base_of(instrument, steps),
        "oiUsd": trimmed(dollars, -instrument.contract_exponent),
        "ts": str(now),
    }


def liquidation(instrument: Instrument, trade: Aggregate) -> Json:
    """A position that was closed by force: a long one by selling."""
    family = f"{instrument.base}-{instrument.quote}"
    return {
        "details": [
            {
                "bkLoss": "0",
                "bkPx": price_of(instrument, trade.price),
                "ccy": "",
                "posSide": "long" if trade.buyer_is_maker else "short",
                "side": _side(trade),
                "sz": size_of(instrument, trade.quantity),
                "ts": str(trade.time),
            }
        ],
        "instFamily": family,
        "instId": instrument.symbol,
        "instType": SWAP,
        "uly": family,
    }
