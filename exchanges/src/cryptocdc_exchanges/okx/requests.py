"""Requests for market data: path and parameters. Each counts against the limit of its endpoint.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data. Pages are given backwards: the newest that are
older than `after`, none of them older than or as old as `before`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, OpenInterestRow, RecentTradesRow
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.okx import responses, swaps
from cryptocdc_exchanges.okx.bars import BARS
from cryptocdc_exchanges.port import BookSnapshot, FirstTrade, Request, Rows

T = TypeVar("T")

FIRST_TRADE_ID = 0
page = 100
stats_per_request = prices_per_request = 1
"""One market, or all of a kind, of which there are hundreds."""
_MOST_LEVELS = 400
_BY_ID, _BY_TIME = 1, 2


def _request(endpoint: str, read: Callable[[bytes, int], T], **params: str | int) -> Request[T]:
    return Request(f"/api/v5/{endpoint}", read, params, 1, endpoint)


def ping() -> Request[object]:
    return _request("public/time", lambda body, _: responses.data(body))


def trades(symbol: str, kind: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:  # noqa: ARG001
    """Single trades, whatever the kind: there are no others over REST. The last page may begin before `from_id`."""
    if from_id is None:
        return _request("market/trades", responses.trades, instId=symbol, limit=limit)
    return _request(
        "market/history-trades", responses.trades, instId=symbol, type=_BY_ID, after=from_id + limit, limit=limit
    )


def first_trade(symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade]:  # noqa: ARG001
    """By time trades are given backwards alone: the first one follows the last one before `at_ms`."""
    read = partial(responses.first_trade, FIRST_TRADE_ID)
    return _request("market/history-trades", read, instId=symbol, type=_BY_TIME, after=at_ms, limit=limit)


def klines(symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
    """Those that are complete."""
    span: dict[str, str | int] = {}
    if start_ms is not None:
        end_ms = start_ms
        for _ in range(limit):
            end_ms = intervals.following(interval, end_ms)
        span = {"after": end_ms, "before": start_ms - 1}
    read = partial(responses.klines, symbol, interval)
    return _request("market/history-candles", read, instId=symbol, bar=BARS[interval], **span, limit=limit)


def stats(symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
    return _request("market/ticker", responses.stats, instId=symbols[0])


def prices(symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
    return _request("market/ticker", responses.prices, instId=symbols[0])


def book(symbol: str, levels: int) -> Request[BookSnapshot]:
    return _request("market/books", responses.snapshot, instId=symbol, sz=min(levels, _MOST_LEVELS))


def open_interest(symbol: str) -> Request[Rows[OpenInterestRow]]:
    return _request("public/open-interest", responses.open_interest, instType=swaps.KIND, instId=symbol)
