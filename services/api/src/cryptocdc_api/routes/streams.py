"""The streams' tables, the derived tables and the symbols, as stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cryptocdc_api.analysis import books, quotes
from cryptocdc_api.analysis.averages import BOOKS, QUOTES, Averaged
from cryptocdc_api.context import SHAPES, Context
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.paging import Row, page
from cryptocdc_api.reading.tables import HEATMAP_TABLE, TABLES, Table
from cryptocdc_api.refusals import Refused
from cryptocdc_api.requests.parameters import (
    AnomalyQuery,
    AveragesQuery,
    BarQuery,
    BookQuery,
    BooksQuery,
    KlineQuery,
    NothingQuery,
    OptionalSymbolQuery,
    SymbolQuery,
)
from cryptocdc_api.requests.routing import query_router
from cryptocdc_api.routes.responses import answer, described, json_response, paged, span_of
from cryptocdc_api.shapes import Json, schema, shaper
from cryptocdc_core.catalogue import NEWEST, by_table
from cryptocdc_core.catalogue.computed import ANOMALIES, BARS, BOOK_METRICS, FORECASTS, VOLATILITY
from cryptocdc_core.catalogue.streams import BEST_QUOTES, KLINES, LIQUIDATIONS, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.time.times import now_ms

BOOKS_AGE_S = 1.0
AVERAGED_ROWS = 100_000
"""Per page of averages: more than a day of books at one per second."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def routes(context: Context) -> APIRouter:
    """Return the endpoints of what the feed captures or computes; others don't exist."""
    router = query_router("streams")
    shapes = {table: shaper(TABLES[table].columns) for table in context.tables}
    shapes |= SHAPES

    async def newest_or_range(request: Request, table: Table, query: OptionalSymbolQuery) -> Response:
        if query.symbol is not None:
            await context.check_symbol(query.symbol)
        if not query.ranged:
            newest = await context.newest(table.name)
            if query.symbol is None:
                return json_response(list(newest.values()))
            return json_response([newest[query.symbol]] if query.symbol in newest else [])
        if query.symbol is None:
            raise Refused(
                "symbol", "", "a symbol for its history; without range and limit, the newest rows of all symbols"
            )
        return await answer(context, request, table, [query.symbol], query, shapes[table.name])

    def serve(table: str, more: Mapping[str, str] | None = None) -> Decorator:
        """Return a decorator that adds an endpoint if the feed captures or computes the table."""
        if table not in context.tables:
            return lambda endpoint: endpoint
        made = schema(TABLES[table].columns, **(more or {}))
        return router.get(f"/{table}", responses=described(made), summary=by_table(table).doc)

    def serve_newest(table: Table, more: Mapping[str, str] | None = None) -> None:
        @serve(table.name, more)
        async def newest(request: Request, query: Annotated[OptionalSymbolQuery, Query()]) -> Response:
            return await newest_or_range(request, table, query)

    for name in NEWEST:
        serve_newest(TABLES[name], quotes.FIGURES if name == BEST_QUOTES.table else None)

    def serve_history(table: Table) -> None:
        @serve(table.name)
        async def history(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
            await context.check_symbol(query.symbol)
            return await answer(context, request, table, [query.symbol], query, shapes[table.name])

    for stream in (RECENT_TRADES, LIQUIDATIONS, BOOK_METRICS):
        serve_history(TABLES[stream.table])

    @serve(KLINES.table)
    async def klines(request: Request, query: Annotated[KlineQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        prefix = [query.symbol, context.interval(query.interval)]
        return await answer(context, request, TABLES[KLINES.table], prefix, query, shapes[KLINES.table])

    @serve(BARS.table)
    async def bars(request: Request, query: Annotated[BarQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        prefix = [query.symbol, context.bar_length(query.interval)]
        return await answer(context, request, TABLES[BARS.table], prefix, query, shapes[BARS.table])

    @serve(VOLATILITY.table)
    async def realized_volatility(request: Request, query: Annotated[BarQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        prefix = [query.symbol, context.volatility_length(query.interval)]
        return await answer(context, request, TABLES[VOLATILITY.table], prefix, query, shapes[VOLATILITY.table])

    @serve(FORECASTS.table)
    async def forecasts(request: Request, query: Annotated[BarQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        prefix = [query.symbol, context.forecast_length(query.interval)]
        return await answer(context, request, TABLES[FORECASTS.table], prefix, query, shapes[FORECASTS.table])

    @serve(ANOMALIES.table)
    async def anomalies(request: Request, query: Annotated[AnomalyQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        table, prefix = TABLES[ANOMALIES.table], [query.symbol, context.anomaly_length(query.interval), query.kind]
        if not query.only:
            return await answer(context, request, table, prefix, query, shapes[table.name])
        if query.stream:
            raise Refused("stream", "true", "false: anomalies alone are paged")
        span = span_of(table, query, context.feed.spec.retention.cassandra, now_ms())
        rows, following = await page(table, span, query.limit, context.reader.of(table, prefix, span.newest_first))
        found = ANOMALIES.position("anomaly")
        return paged(request, table, [shapes[table.name](row) for row in rows if row[found]], following)

    @serve(ORDER_BOOK.table, books.FIGURES)
    async def order_book(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        return await answer(context, request, TABLES[ORDER_BOOK.table], [query.symbol], query, books.shape)

    if ORDER_BOOK.table in context.tables:
        summaries: Cache[list[Json]] = context.cache("newest_books", BOOKS_AGE_S)

        async def newest_book(symbol: str) -> list[Row]:
            """Return one row, or none."""
            table = TABLES[ORDER_BOOK.table]
            newest = SymbolQuery(symbol=symbol, limit=1)
            span = span_of(table, newest, context.feed.spec.retention.cassandra, now_ms())
            return (await page(table, span, 1, context.reader.of(table, [symbol], True)))[0]

        async def summed_up() -> list[Json]:
            found = await asyncio.gather(*(newest_book(symbol) for symbol in await context.symbols()))
            return [books.summary(row) for rows in found for row in rows]

        @router.get("/order_book/levels", summary="The newest order book, one row per level.")
        async def order_book_levels(query: Annotated[BookQuery, Query()]) -> Response:
            await context.check_symbol(query.symbol)
            return json_response([level for row in await newest_book(query.symbol) for level in books.levels(row)])

        @router.get(
            "/order_book/newest", responses=described(schema(books.HEAD, **books.FIGURES, **books.SHARES)),
            summary="Totals of the newest order book of all or some symbols.",
        )  # fmt: skip
        async def newest_books(query: Annotated[BooksQuery, Query()]) -> Response:
            for symbol in query.symbols or ():
                await context.check_symbol(symbol)
            found = await summaries.get("", summed_up)
            return json_response([book for book in found if query.symbols is None or book["symbol"] in query.symbols])

        @router.get(
            "/heatmap", responses=described(schema(HEATMAP_TABLE.columns, **books.BIN_FIGURES)),
            summary="Quantity in the order book by price, every 10 seconds: one row per bin.",
        )  # fmt: skip
        async def heatmap(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
            await context.check_symbol(query.symbol)
            return await answer(context, request, HEATMAP_TABLE, [query.symbol], query, books.bin_shape)

        _serve_averages(router, context, BOOKS, ORDER_BOOK.table, "spread, mid and imbalance of a symbol's order books")

    if BEST_QUOTES.table in context.tables:
        _serve_averages(router, context, QUOTES, BEST_QUOTES.table, "a symbol's best bids and asks")

    if KLINES.table in context.tables:

        @router.get("/intervals", summary="The candle intervals that the feed captures.")
        async def intervals(_: Annotated[NothingQuery, Query()]) -> Response:
            return json_response([{"interval": interval} for interval in context.intervals])

    @router.get("/symbols", summary="All captured symbols.")
    async def symbols(_: Annotated[NothingQuery, Query()]) -> Response:
        return json_response([{"symbol": symbol} for symbol in await context.symbols()])

    return router


def _serve_averages(router: APIRouter, context: Context, averaged: Averaged, path: str, of: str) -> None:
    table = averaged.table

    @router.get(
        f"/{path}/averages", responses=described(schema(table.columns[:2], **averaged.docs)),
        summary=f"Averages of {of}: one row per step.",
    )  # fmt: skip
    async def averages(request: Request, query: Annotated[AveragesQuery, Query()]) -> Response:
        await context.check_symbol(query.symbol)
        if query.stream:
            raise Refused("stream", "true", "false: averages are paged")
        span = span_of(table, query, context.feed.spec.retention.cassandra, now_ms())
        read = context.reader.of(table, [query.symbol], span.newest_first)
        rows, following = await page(table, span, AVERAGED_ROWS, read)
        step_ms = query.step * 1000
        found = await asyncio.to_thread(averaged.averages, rows, step_ms)
        # If more rows follow, the last step may be incomplete: it belongs to the next page, unless it is the only one.
        whole = found[:-1] if following is not None and len(found) > 1 else found
        if len(whole) > query.limit or len(whole) < len(found):
            whole = whole[: query.limit]
            following = averaged.rest_of(span, whole, step_ms)
        return paged(request, table, whole, following)
