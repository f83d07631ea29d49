"""Requests for market data: path, parameters and weight.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_exchanges.binance import responses
from cryptocdc_exchanges.binance.limits import WEIGHT
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.port import BookSnapshot, FirstTrade, Request, Rows

T = TypeVar("T")

page = 1000
stats_per_request = 20
"""20 symbols have a weight of 2, 100 one of 40."""
prices_per_request = 100


def _request(path: str, weight: int, read: Callable[[bytes, int], T], **params: str | int) -> Request[T]:
    return Request(f"/api/v3/{path}", read, params, weight, WEIGHT)


def ping() -> Request[object]:
    return _request("ping", 1, lambda body, _: decoded(body, dict))


def trades(symbol: str, kind: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:
    more: dict[str, str | int] = {} if from_id is None else {"fromId": from_id}
    if kind == "aggregate":
        path, weight, read = "aggTrades", 4, responses.aggregate_trades
    else:
        path, weight, read = ("trades" if from_id is None else "historicalTrades"), 25, responses.raw_trades
    return _request(path, weight, partial(read, symbol), symbol=symbol, **more, limit=limit)


def first_trade(symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade]:
    """Only aggregates can be requested by time; each contains the ids of its raw trades."""
    read = partial(responses.first_trade, symbol, kind)
    return _request("aggTrades", 4, read, symbol=symbol, startTime=at_ms, limit=limit)


def klines(symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
    more: dict[str, str | int] = {} if start_ms is None else {"startTime": start_ms}
    read = partial(responses.klines, symbol, interval)
    return _request("klines", 2, read, symbol=symbol, interval=interval, **more, limit=limit)


def stats(symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
    return _request("ticker/24hr", 2 if len(symbols) <= 20 else 40, responses.tickers, symbols=_several(symbols))


def prices(symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
    return _request("ticker/price", 4, responses.prices, symbols=_several(symbols))


def book(symbol: str, levels: int) -> Request[BookSnapshot]:
    weight = next((weight for most, weight in ((100, 5), (500, 25), (1000, 50)) if levels <= most), 250)
    return _request("depth", weight, responses.snapshot, symbol=symbol, limit=levels)


def _several(symbols: Sequence[str]) -> str:
    """Return symbols as one parameter: JSON without spaces, which would be refused with -1100."""
    return msgspec.json.encode(list(symbols)).decode()
