"""What is captured, and whether the API can serve it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from cryptocdc_api.context import Context
from cryptocdc_api.requests.parameters import NothingQuery
from cryptocdc_api.requests.routing import query_router
from cryptocdc_api.routes.responses import json_response
from cryptocdc_api.shapes import Json
from cryptocdc_exchanges.registry import completeness

FEED_DOC = """`completeness`: for each table, how it is known whether all rows arrived; that both databases are equal
does not show it. `ids`: rows have consecutive ids; `sequence`: a missing message is noticed; `arrival`: only what
arrived is known.
`sink_engine`: what writes the rows into Cassandra, `consumer`, `spark` or `connect`.
"""


def routes(context: Context) -> APIRouter:
    router = query_router("pipeline")
    who: Json = {
        "feed": context.feed.name, "source": context.source, "simulated": context.source == "simulated",
        "version": version("cryptocdc-api"),
    }  # fmt: skip

    @router.get("/health", summary="Readiness: 503 while Cassandra can't be read.")
    async def health(_: Annotated[NothingQuery, Query()]) -> Response:
        reads = await context.reader.answers()
        body = {"status": "ok" if reads else "unavailable", "cassandra": reads, **who}
        return json_response(body, 200 if reads else 503)

    @router.get(
        "/feed",
        summary="What the feed captures and computes, and its source.",
        description=FEED_DOC,
    )
    async def feed(_: Annotated[NothingQuery, Query()]) -> Response:
        return json_response({
            **who, "exchange": context.feed.spec.exchange, "streams": list(context.tables),
            "intervals": context.intervals, "bars": context.bar_lengths,
            "anomalies": context.anomaly_lengths, "forecasts": context.forecast_lengths,
            "sink_engine": context.feed.spec.sink.engine,
            "completeness": {table: how.value for table, how in completeness(context.feed).items()},
        })  # fmt: skip

    return router
