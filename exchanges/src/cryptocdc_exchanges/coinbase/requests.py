"""Requests for market data: path and parameters. Each costs one.

Source: https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducts and those that follow it. Trades
are paged backwards: a page has the newest ones with ids below `after`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from cryptocdc_core.rows.typed import Crypto24hStatsRow, KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.coinbase import responses
from cryptocdc_exchanges.coinbase.limits import REQUESTS
from cryptocdc_exchanges.port import MAX_BODY, MAX_BODY_OF_ALL, BookSnapshot, FirstTrade, Request, Rows

T = TypeVar("T")

GRANULARITIES = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "1d": 86400}
"""Seconds by interval."""
page = 300
"""Candles per response; of trades up to 1,000 are returned."""
stats_per_request = prices_per_request = 1
_AGGREGATED = 2


def _request(
    path: str,
    read: Callable[[bytes, int], T],
    params: Mapping[str, str | int] | None = None,
    until: int | None = None,
    max_bytes: int = MAX_BODY,
) -> Request[T]:
    return Request(path, read, params or {}, 1, REQUESTS, max_bytes, until)


def ping() -> Request[object]:
    return _request("/time", lambda body, _: decoded(body, dict))


def trades(symbol: str, kind: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:  # noqa: ARG001
    """Raw trades, the only kind. The last page may start before `from_id`."""
    params = {"limit": limit} if from_id is None else {"after": from_id + limit, "limit": limit}
    return _request(f"/products/{symbol}/trades", partial(responses.trades, symbol), params)


def first_trade(symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade] | None:  # noqa: ARG001
    """Return None: trades can't be requested by time."""
    return None


def klines(symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
    """The candles of `limit` intervals, except of those without a trade. Both bounds are inclusive."""
    params: dict[str, str | int] = {"granularity": GRANULARITIES[interval]}
    end_ms = None
    if start_ms is not None:
        length_ms = intervals.LENGTH_MS[interval]
        end_ms = start_ms + limit * length_ms
        params |= {"start": _iso(start_ms), "end": _iso(end_ms - length_ms)}
    read = partial(responses.klines, symbol, interval, limit)
    return _request(f"/products/{symbol}/candles", read, params, end_ms)


def stats(symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
    return _request(f"/products/{symbols[0]}/stats", partial(responses.stats, symbols[0]))


def prices(symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
    return _request(f"/products/{symbols[0]}/ticker", partial(responses.prices, symbols[0]))


def book(symbol: str, levels: int) -> Request[BookSnapshot]:  # noqa: ARG001
    """All levels: the API offers only these or the best ones."""
    return _request(f"/products/{symbol}/book", responses.snapshot, {"level": _AGGREGATED}, max_bytes=MAX_BODY_OF_ALL)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
