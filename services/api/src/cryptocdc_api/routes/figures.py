"""The state of the pipeline: the programs' metrics and Kafka's offsets, read at most once a second."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from cryptocdc_adapters.metrics.figures import FeedFigures
from cryptocdc_adapters.metrics.readings import Readings
from cryptocdc_api.context import Context
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.requests.parameters import NothingQuery
from cryptocdc_api.requests.routing import query_router
from cryptocdc_api.routes.responses import json_response
from cryptocdc_api.shapes import Json
from cryptocdc_core.time.times import iso

AGE_S = 1.0
TIMES = ("p50", "p99")
ALL = "all"
"""Instead of a table's name: the row with the sums and with figures that belong to no table."""

DOC = """One row per table, and one for `all`. Rows since the programs started: `frames` from the exchange, `postgres`,
`kafka`, `cassandra`; `…_rate` is the same per second, over the last ten seconds. `lag`: rows in Kafka that are not in
Cassandra yet. `p50_s`, `p99_s`: from the exchange's event to Cassandra's acknowledgement. `proven_through`: both
databases are proven equal up to that time; `unproven_s`: how far that is behind what can be proven by now, not counting
open candles. `repaired`: rows that the verifier has repaired since it started; `repair`: those by cause, and what it
left. A value is null if no program reports it."""


def rows_of(feed: str, source: str, figures: FeedFigures) -> list[Json]:
    """Return flat rows that all have the same keys."""
    whole = {name: value for name, value in asdict(figures).items() if name != "streams"}
    whole |= {name: ", ".join(getattr(figures, name)) for name in ("halted", "waiting", "alerts_firing")}
    blank = dict.fromkeys(whole)
    tables: list[Json] = []
    for table, stream in figures.streams.items():
        row: Json = {"feed": feed, "source": source, "table": table}
        for name, value in asdict(stream).items():
            if name == "proven_through":
                at_ms = None if value is None else int(value * 1000)
                row[name] = None if at_ms is None else iso(at_ms)
                row[f"{name}_ms"] = at_ms
            else:
                row[f"{name}_s" if name in TIMES else name] = value
        tables.append(row)
    sums: Json = {"feed": feed, "source": source, "table": ALL}
    for name in tables[0] if tables else ():
        values = [row[name] for row in tables]
        if name in sums:
            continue
        if name.startswith("proven_through"):
            # Everything is proven up to the table that is furthest behind; nothing while one has no proof.
            sums[name] = None if None in values else min(values)
        elif name == "unproven_s":
            sums[name] = max((value for value in values if value is not None), default=None)
        elif name.endswith("_s"):
            sums[name] = None
        else:
            sums[name] = sum(values)
    return [{**sums, **whole}, *({**row, **blank} for row in tables)]


def routes(context: Context, readings: Readings) -> APIRouter:
    router = query_router("pipeline")
    cache: Cache[list[Json]] = context.cache("pipeline", AGE_S)

    async def load() -> list[Json]:
        figures = await asyncio.to_thread(readings.read)
        return rows_of(context.feed.name, context.source, figures)

    @router.get("/pipeline", summary="Rows, rates, lag, latency, gaps, dead letters and proof.", description=DOC)
    async def pipeline(_: Annotated[NothingQuery, Query()]) -> Response:
        return json_response(await cache.get("", load))

    return router
