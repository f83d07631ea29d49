"""A market panel: one drawing, and its query for each data source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptocdc_grafana.drawing import Drawing
from cryptocdc_grafana.shaping import Shaping
from cryptocdc_grafana.sources import Cql, Get, Query, Source, Sql

RANGE = (("from", "${__from}"), ("to", "${__to}"))
WHOLE = (*RANGE, ("stream", "true"))
"""Requests every row of the dashboard's range; without it the API returns a page of the newest."""
NEWEST_PAGE = "the newest 1,000 candles of the range"
TIME, NUMBER, TEXT = "timestamp", "number", "string"
SYMBOL = "'$symbol'"
SYMBOLS = "${symbols:singlequote}"


@dataclass(frozen=True)
class MarketPanel:
    """A panel's queries return the same columns from every data source, so it is drawn the same way."""

    title: str
    doc: str
    draw: Drawing
    cql: Cql
    get: Get
    sql: Sql
    shaped: Shaping
    width: int
    """Of 24."""
    height: int = 9
    apart: tuple[Cql, ...] = ()
    """Cassandra's additional queries B, C …: nullable columns, each where it has a value."""
    asked: int = 1
    """How many times the query is sent, as A, B …, where the transformations need several copies of its result."""
    linked: bool = False
    """Whether a row links to its symbol's candles and to the feed's pipeline."""
    read: Mapping[Source, str] = field(default_factory=dict)
    """For sources that don't query the whole of a long range: the part they do query."""

    def queries(self, source: Source) -> list[Query]:
        asked: dict[Source, Sequence[Cql | Get | Sql]] = {
            Source.CASSANDRA: (self.cql, *self.apart),
            Source.API: (self.get,),
            Source.POSTGRES: (self.sql,),
        }
        repeated = [*asked[source]] * self.asked
        return [replace(part.query, ref_id=ref_id) for ref_id, part in zip("ABC", repeated, strict=False)]

    def description(self, source: Source) -> str:
        return f"{self.doc} From {source.label}: {self.read[source]}." if source in self.read else self.doc
