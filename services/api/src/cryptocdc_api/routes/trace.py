"""`/trace`: one row's path through every hop, from Cassandra and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Protocol

from confluent_kafka import KafkaException
from fastapi import APIRouter, Query
from starlette.responses import Response

from cryptocdc_api.context import Context
from cryptocdc_api.reading.cache import Cache
from cryptocdc_api.reading.paging import page, position
from cryptocdc_api.reading.tables import TABLES
from cryptocdc_api.refusals import Refused
from cryptocdc_api.requests.parameters import SymbolQuery, TraceQuery
from cryptocdc_api.requests.routing import query_router
from cryptocdc_api.routes.responses import json_response, span_of
from cryptocdc_api.shapes import Json
from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.rows.changes import Change
from cryptocdc_core.rows.hops import HOPS, KAFKA, POSTGRES, Sent, Trail, Values
from cryptocdc_core.time.times import now_ms

AGE_S, KEPT = 1.0, 256
KAFKA_LIMIT_S = 2.0
"""How long a trace may search in Kafka; also how long it may wait for other traces before that."""
JSON = "application/json"
SLACK_MS = 1_000
"""Records are only nearly ordered by their timestamps."""

DOC = """The row of `table` with that key, or, if only the symbol (of klines: and the interval) is given, the newest
one.
For each hop: the time `at` which the row arrived, `after_ms` since the previous hop, the `source` of this information,
and other `facts`. The API does not query PostgreSQL: its LSN and commit time travel with the change. `differing` lists,
by place, the columns that differ from the first place that has the row; `equal` is true only if the row is in
Cassandra."""


class Finder(Protocol):
    """Finds a change in Kafka; see `cryptocdc_adapters.kafka.records`."""

    def find(
        self, stream: Stream, key: Values, from_ms: int, until_ms: int, limit_s: float,
        is_it: Callable[[Change], bool] | None = None,
    ) -> Sent | None: ...  # fmt: skip


class _Kafka:
    """Searches Kafka for one trace at a time; others wait, up to KAFKA_LIMIT_S."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._turn = asyncio.Lock()

    async def complete(self, trail: Trail) -> None:
        """Add the record to the trail, or the reason why there is none."""
        try:
            async with asyncio.timeout(KAFKA_LIMIT_S):
                await self._turn.acquire()
        except TimeoutError:
            trail.notes[KAFKA] = "not searched: other traces are in progress; try again"
            return
        try:
            trail.sent = await asyncio.to_thread(self._find, trail)
        except KafkaException as error:
            trail.notes[KAFKA] = f"Kafka does not answer: {error.args[0]}"
            return
        finally:
            self._turn.release()
        if trail.sent is None:
            trail.notes[KAFKA] = "its record is not, or no longer, in Kafka"

    def _find(self, trail: Trail) -> Sent | None:
        stream, key = trail.stream, trail.key
        audit = trail.written.audit if trail.written is not None else {}
        start = audit.get("produced_at")
        if start is not None:  # the change that Cassandra's row was written from
            return self._finder.find(
                stream, key, start, start + SLACK_MS, KAFKA_LIMIT_S, lambda change: change.lsn == audit["lsn"]
            )
        # Not in Cassandra (yet), or written there by hand.
        return self._finder.find(stream, key, key[stream.time], now_ms(), KAFKA_LIMIT_S)


def routes(context: Context, finder: Finder) -> APIRouter:
    router = query_router("pipeline")
    kafka = _Kafka(finder)
    cache: Cache[Json] = context.cache("trace", AGE_S, KEPT)

    @router.get("/trace", responses=DESCRIBED, summary="One row traced through every hop.", description=DOC)
    async def trace(query: Annotated[TraceQuery, Query()]) -> Response:
        if query.table not in context.tables:
            raise Refused("table", query.table, ", ".join(context.tables), 404)
        await context.check_symbol(query.symbol)
        stream = by_table(query.table)
        key = await _key(context, stream, query)

        async def load() -> Json:
            trail = Trail(stream, key, written=await context.reader.one(stream, key))
            trail.notes[POSTGRES] = "PostgreSQL is not queried: the API reads only Cassandra and Kafka"
            await kafka.complete(trail)
            if trail.written is None and trail.sent is None:
                given = " ".join(f"{name}={key[name]}" for name in stream.key)
                raise Refused("key", given, f"the key of a row of {stream.table} in Cassandra or Kafka", 404)
            return {"feed": context.feed.name, "source": context.source, **trail.to_json()}

        found = await cache.get(" ".join((stream.table, *(str(key[name]) for name in stream.key))), load)
        return json_response(found)

    return router


async def _key(context: Context, stream: Stream, query: TraceQuery) -> Values:
    """Return the given key, completed with the newest row's if only its prefix is given. Raises Refused."""
    given = query.key()
    foreign = sorted(set(given) - set(stream.key))
    if foreign:
        raise Refused(foreign[0], given[foreign[0]], f"none: the key of {stream.table} is {', '.join(stream.key)}")
    if "interval" in stream.key:
        given["interval"] = context.interval(query.interval)
    rest = [name for name in stream.key if name not in given]
    if not rest:
        return given
    if set(rest) != set(stream.clustering):
        raise Refused(rest[0], "", f"a value, or none of {', '.join(stream.clustering)}: then the newest row")
    prefix = [given[name] for name in stream.partition]
    table = TABLES[stream.table].within(prefix)
    span = span_of(table, SymbolQuery(symbol=query.symbol, limit=1), context.feed.spec.retention.cassandra, now_ms())
    rows, _ = await page(table, span, 1, context.reader.of(table, prefix, True))
    if not rows:
        raise Refused("symbol", query.symbol, f"a symbol with rows in {stream.table}", 404)
    return given | dict(zip(stream.clustering, position(table, rows[0]), strict=True))


_HOP: Json = {
    "hop": {"type": "string", "enum": list(HOPS)},
    "at": {"type": ["string", "null"], "format": "date-time", "description": "When the row arrived there."},
    "at_ms": {"type": ["integer", "null"], "description": "The same in ms since the epoch."},
    "after_ms": {"type": ["number", "null"], "description": "Since the previous hop; negative if clocks differ."},
    "source": {"type": "string", "description": "Origin of this information."},
    "facts": {"type": "object", "description": "E.g. lsn, version; topic, partition, offset; writetime, ttl_s."},
    "note": {"type": "string", "description": "Why the row is not there or was not looked up; otherwise empty."},
}
_BY_PLACE: Json = {"type": "object", "description": "By place: kafka, cassandra."}
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One object.",
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {
                        **{name: {"type": "string"} for name in ("feed", "source", "table", "symbol")},
                        "key": {"type": "object"},
                        "hops": {"type": "array", "items": {"type": "object", "properties": _HOP}},
                        "values": {**_BY_PLACE, "description": "The row in each place."},
                        "compared": {"type": "array", "items": {"type": "string"}},
                        "differing": {**_BY_PLACE, "description": "By place, the columns that differ."},
                        "equal": {"type": "boolean"},
                        "took_ms": {"type": ["number", "null"], "description": "From the event to the write."},
                    },
                }
            }
        },
    }
}
