"""Responses: one JSON document, a page of rows with a link to the next one, or a whole range streamed as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cryptocdc_api.context import Context
from cryptocdc_api.reading.paging import Row, Span, from_cursor, page, pages, to_cursor
from cryptocdc_api.reading.tables import Table
from cryptocdc_api.refusals import Refused
from cryptocdc_api.requests.parameters import RangeQuery
from cryptocdc_api.shapes import Json
from cryptocdc_core.catalogue import Bucket
from cryptocdc_core.feed.model import retention_s
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS
from cryptocdc_core.time.times import now_ms

CURSOR_HEADER = "X-Next-Cursor"
DAY_MS = 86_400_000
LOOKED_BACK_MS = {Bucket.HOUR: DAY_MS, Bucket.DAY: 30 * DAY_MS, Bucket.MONTH: 366 * DAY_MS}
"""The length of a range without `from`."""

Shape = Callable[[Row], Json]


def described(rows: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a response with these rows."""
    return {200: {"description": "A flat list of objects.", "content": {"application/json": {"schema": rows}}}}


def json_response(body: Json | list[Json], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def span_of(table: Table, query: RangeQuery, retention: str, now: int) -> Span:
    """Return the requested span; with a cursor it is the rest of the first page's range. Raises Refused."""
    if query.cursor is not None:
        return from_cursor(table, query.cursor)
    end = now + FUTURE_TOLERANCE_MS if query.end is None else query.end
    start = end - LOOKED_BACK_MS[table.bucket] if query.start is None else query.start
    if query.start is not None and query.end is not None and start >= end:
        raise Refused("from", query.start, f"a time before to, which is {end}")
    kept_s = retention_s(retention)
    if kept_s is not None:
        # Older rows have expired, so their partitions need not be read.
        start = max(start, now - kept_s * 1000)
    return Span(max(0, start), end, query.order == "newest")


async def answer(
    context: Context, request: Request, table: Table, prefix: Sequence[Any], query: RangeQuery, shape: Shape
) -> Response:
    """Return the response with the rows of `query` in the partitions of `prefix`."""
    table = table.within(prefix)
    span = span_of(table, query, context.feed.spec.retention.cassandra, now_ms())
    read = context.reader.of(table, prefix, span.newest_first)
    if query.stream:
        return await streamed(pages(table, span, read), shape)
    rows, following = await page(table, span, max(1, query.limit // table.group), read)
    return paged(request, table, [shape(row) for row in rows], following)


def paged(request: Request, table: Table, rows: list[Json], following: Span | None) -> Response:
    """Return a page with the headers that lead to the next one."""
    headers = {}
    if following is not None:
        cursor = to_cursor(table, following)
        kept = [(k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "from", "to", "order")]
        headers = {
            CURSOR_HEADER: cursor,
            "Link": f'<{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"',
        }
    return json_response(rows, headers=headers)


async def streamed(parts: AsyncIterator[list[Row]], shape: Shape) -> Response:
    """Return a whole range. The first page is read before the response starts, so that an early failure still gets its
    status code."""
    first = await anext(parts, None)

    async def body() -> AsyncIterator[bytes]:
        yield b"["
        if first is not None:
            yield msgspec.json.encode([shape(row) for row in first])[1:-1]
            async for rows in parts:
                yield b"," + msgspec.json.encode([shape(row) for row in rows])[1:-1]
        yield b"]"

    return StreamingResponse(body(), media_type="application/json")
