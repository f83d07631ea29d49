"""Computed endpoints: rankings, signals, volatility, price trends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cryptocdc_api.analysis.rankings import top
from cryptocdc_api.analysis.signals import SIGNALS, VOLATILITY, WARM_UP, head, head_columns, signals, volatilities
from cryptocdc_api.context import Context
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.paging import Row, page, position
from cryptocdc_api.reading.tables import TABLES
from cryptocdc_api.refusals import Refused
from cryptocdc_api.requests.parameters import (
    MOST_ROWS,
    KlineQuery,
    RangeQuery,
    SymbolQuery,
    TopQuery,
    TrendsQuery,
    VolatilityQuery,
)
from cryptocdc_api.requests.routing import query_router
from cryptocdc_api.routes.responses import described, json_response, paged, span_of
from cryptocdc_api.shapes import Json, schema
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES
from cryptocdc_core.time.times import now_ms

VOLATILITY_AGE_S, VOLATILITIES = 5.0, 64

Compute = Callable[[Sequence[Row]], list[Json]]
_KLINES = TABLES[KLINES.table]


def routes(context: Context) -> APIRouter:
    router = query_router("analysis")

    if CRYPTO_24H_STATS.table in context.tables:

        @router.get(
            "/top", responses=described(schema(CRYPTO_24H_STATS.columns)),
            summary="The top symbols of the last 24 hours, with their statistics.",
        )  # fmt: skip
        async def top_symbols(query: Annotated[TopQuery, Query()]) -> Response:
            newest = await context.newest(CRYPTO_24H_STATS.table)
            return json_response(top(newest.values(), query.by, query.n, now_ms()))

    if KLINES.table in context.tables:
        _serve_candles(router, context)
        _serve_trends(router, context)
    return router


def _serve_candles(router: APIRouter, context: Context) -> None:
    newest: Cache[list[Json]] = context.cache("volatility", VOLATILITY_AGE_S, VOLATILITIES)

    @router.get(
        "/signals", responses=described(schema(head_columns(), **SIGNALS)),
        summary="Moving averages, RSI and VWAP, one row per candle.",
    )  # fmt: skip
    async def candle_signals(request: Request, query: Annotated[KlineQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        prefix = [query.symbol, context.interval(query.interval)]
        return await _computed(context, request, prefix, query, WARM_UP, signals)

    @router.get(
        "/volatility", responses=described(schema(head_columns(), **VOLATILITY)),
        summary="Volatility, one row per candle of a symbol, or the newest of every symbol.",
    )  # fmt: skip
    async def candle_volatility(request: Request, query: Annotated[VolatilityQuery, Query()]) -> Response:
        interval = context.interval(query.interval)

        def compute(rows: Sequence[Row]) -> list[Json]:
            return volatilities(rows, query.window)

        if query.symbol is not None:
            await context.check_symbol(query.symbol)
            return await _computed(context, request, [query.symbol, interval], query, query.window, compute)
        ranged = query.model_fields_set - {"interval", "window"}
        if ranged:
            raise Refused(
                "symbol", "", f"a symbol for its history; without {min(ranged)}, the newest values of all symbols"
            )

        async def of(symbol: str) -> list[Json]:
            last = SymbolQuery(symbol=symbol, limit=query.window + 1)
            candles = _KLINES.within([symbol, interval])
            span = span_of(candles, last, context.feed.spec.retention.cassandra, now_ms())
            rows, _ = await page(candles, span, last.limit, context.reader.of(candles, [symbol, interval], True))
            return compute(rows[::-1])[-1:]

        async def load() -> list[Json]:
            found = await asyncio.gather(*(of(symbol) for symbol in await context.symbols()))
            return [row for rows in found for row in rows]

        return json_response(await newest.get(f"{interval} {query.window}", load))


def _serve_trends(router: APIRouter, context: Context) -> None:
    @router.get(
        "/price_trends", responses=described(schema(head_columns())),
        summary="Closing prices of several symbols, oldest first, one row per candle.",
    )  # fmt: skip
    async def price_trends(query: Annotated[TrendsQuery, Query()]) -> Response:
        interval = context.interval(query.interval)
        for symbol in query.symbols:
            await context.check_symbol(symbol)
        newest = RangeQuery.model_validate({"from": query.start, "to": query.end, "limit": MOST_ROWS})

        async def of(symbol: str) -> list[Row]:
            candles = _KLINES.within([symbol, interval])
            span = span_of(candles, newest, context.feed.spec.retention.cassandra, now_ms())
            rows, _ = await page(candles, span, MOST_ROWS, context.reader.of(candles, [symbol, interval], True))
            return rows[::-1]

        found = await asyncio.gather(*(of(symbol) for symbol in dict.fromkeys(query.symbols)))
        return json_response([head(row) for rows in found for row in rows])


async def _computed(
    context: Context, request: Request, prefix: Sequence[str], query: RangeQuery, warm_up: int, compute: Compute
) -> Response:
    """Return the figures of a page of candles, computed from them and the `warm_up` candles before."""
    if query.stream:
        raise Refused("stream", "true", "false: results are paged")
    candles = _KLINES.within(prefix)
    span = span_of(candles, query, context.feed.spec.retention.cassandra, now_ms())
    rows, following = await page(candles, span, query.limit, context.reader.of(candles, prefix, span.newest_first))
    if not rows:
        return paged(request, candles, [], following)
    oldest_first = rows[::-1] if span.newest_first else rows
    earlier = RangeQuery(to=position(candles, oldest_first[0])[0])
    lead = span_of(candles, earlier, context.feed.spec.retention.cassandra, now_ms())
    before, _ = await page(candles, lead, warm_up, context.reader.of(candles, prefix, True))
    made = compute([*before[::-1], *oldest_first])[len(before) :]
    return paged(request, candles, made[::-1] if span.newest_first else made, following)
