"""The markets that Binance lists, their states, and their volume. Source: exchangeInfo and ticker/24hr."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_core.feed.symbols import is_symbol
from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_exchanges.binance.limits import WEIGHT
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.port import MAX_BODY_OF_ALL, Listing, Request

log = logging.getLogger(__name__)


class WeightLimit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    quote_asset: str


class _Info(msgspec.Struct, rename="camel"):
    symbols: list[_Symbol]
    rate_limits: list[WeightLimit] = []


class _Volume(msgspec.Struct, rename="camel"):
    symbol: str
    quote_volume: str


def listing(symbol: str | None) -> Sequence[Request[Listing]]:
    params: dict[str, str | int] = {} if symbol is None else {"symbol": symbol}
    return [Request("/api/v3/exchangeInfo", _read_listing, params, 20, WEIGHT, MAX_BODY_OF_ALL)]


def _read_listing(body: bytes, _: int) -> Listing:
    info = decoded(body, _Info)
    unusable = [entry.symbol for entry in info.symbols if not is_symbol(entry.symbol)]
    if unusable:
        log.warning("exchange: %d listed names can't be captured, such as %.100r", len(unusable), unusable[0])
    markets = {
        # A market that was delisted or not listed yet is not listed; all other states are kinds of a pause.
        entry.symbol: Market(
            entry.symbol,
            entry.quote_asset,
            MarketState.TRADING if entry.status == "TRADING" else MarketState.HALTED,
        )
        for entry in info.symbols
        if is_symbol(entry.symbol)
    }
    return Listing(markets, weight_limit(info.rate_limits))


def weight_limit(limits: Sequence[WeightLimit]) -> Mapping[str, int]:
    """Return the weight allowed per minute; empty if the response does not contain it."""
    weights = [
        limit.limit
        for limit in limits
        if (limit.rate_limit_type, limit.interval, limit.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1)
    ]
    return {WEIGHT: weights[-1]} if weights else {}


def quote_volumes() -> Sequence[Request[Mapping[str, float]]]:
    return [Request("/api/v3/ticker/24hr", read_volumes, {}, 80, WEIGHT, MAX_BODY_OF_ALL)]


def read_volumes(body: bytes, _: int) -> Mapping[str, float]:
    return {volume.symbol: float(volume.quote_volume) for volume in decoded(body, list[_Volume])}
