"""Requests for market data: path, parameters and weight.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, OpenInterestRow, RecentTradesRow
from cryptocdc_exchanges.binance import responses as spot
from cryptocdc_exchanges.binance_usdm import responses
from cryptocdc_exchanges.binance_usdm.limits import WEIGHT
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.port import BookSnapshot, FirstTrade, Request, Rows

T = TypeVar("T")

page = 1000
stats_per_request = 1
"""A request for one symbol has a weight of 1, one for all symbols 40."""
prices_per_request = 500
"""No limit: a request for all symbols has a weight of 2."""

_DEPTH_WEIGHTS = ((100, 5), (500, 10))
_KLINE_WEIGHTS = ((99, 1), (499, 2), (1000, 5))


def _request(path: str, weight: int, read: Callable[[bytes, int], T], **params: str | int) -> Request[T]:
    return Request(f"/fapi/v1/{path}", read, params, weight, WEIGHT)


def ping() -> Request[object]:
    return _request("ping", 1, lambda body, _: decoded(body, dict))


def trades(symbol: str, _: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:
    """Only aggregates are available."""
    more: dict[str, str | int] = {} if from_id is None else {"fromId": from_id}
    return _request("aggTrades", 20, partial(spot.aggregate_trades, symbol), symbol=symbol, **more, limit=limit)


def first_trade(symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade]:
    read = partial(spot.first_trade, symbol, kind)
    return _request("aggTrades", 20, read, symbol=symbol, startTime=at_ms, limit=limit)


def klines(symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
    more: dict[str, str | int] = {} if start_ms is None else {"startTime": start_ms}
    read = partial(spot.klines, symbol, interval)
    weight = _weight(_KLINE_WEIGHTS, limit, 10)
    return _request("klines", weight, read, symbol=symbol, interval=interval, **more, limit=limit)


def stats(symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
    (symbol,) = symbols
    return _request("ticker/24hr", 1, responses.ticker, symbol=symbol)


def prices(symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
    """Requests one symbol, or all, of which the caller drops those it does not need."""
    if len(symbols) == 1:
        return _request("ticker/price", 1, responses.price, symbol=symbols[0])
    return _request("ticker/price", 2, responses.prices)


def book(symbol: str, levels: int) -> Request[BookSnapshot]:
    """The API accepts only some numbers of levels: 5, 10, 20, 50 (all of weight 2), 100, 500, 1000."""
    limit = next((limit for limit in (5, 10, 20, 50, 100, 500) if levels <= limit), 1000)
    weight = 2 if limit <= 50 else _weight(_DEPTH_WEIGHTS, limit, 20)
    return _request("depth", weight, spot.snapshot, symbol=symbol, limit=limit)


def open_interest(symbol: str) -> Request[Rows[OpenInterestRow]]:
    return _request("openInterest", 1, responses.open_interest, symbol=symbol)


def _weight(weights: Sequence[tuple[int, int]], limit: int, most: int) -> int:
    return next((weight for up_to, weight in weights if limit <= up_to), most)
