"""The panels of the best bid and ask."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue.streams import BEST_QUOTES
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, reported, within
from cryptocdc_grafana.market.panel import NUMBER, RANGE, SYMBOL, TIME, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

QUOTES = BEST_QUOTES.table
HOURS = 3
"""Partitions of an hour each, of 36,000 rows at ten a second; the range covers the first and the last only in part."""


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _averaged("Best bid and ask of $symbol", "In the quote asset", "none", "bid", "ask")
    yield _averaged("Quoted spread of $symbol", "Best ask minus best bid, in the quote asset", "none", "spread")


_EXPRESSIONS = {"bid": "bid_price", "ask": "ask_price", "spread": "ask_price - bid_price"}
"""The same in CQL and SQL. A row with an empty side has null for it, which no mean counts."""
_BOTH_SIDES = " AND ".join(map(reported, ("bid_price", "ask_price")))
"""In CQL the mean of nothing but nulls is 0."""


def _averaged(title: str, doc: str, unit: str, *names: str) -> MarketPanel:
    """Draw one point per step of the panel: there are up to ten quotes a second."""
    cql = ", ".join(f"avg(CAST({_EXPRESSIONS[name]} AS double)) AS {name}" for name in names)
    sql = ", ".join(f"avg(({_EXPRESSIONS[name]})::float8) AS {name}" for name in names)
    return MarketPanel(
        title, f"{doc}. Mean of the quotes in each step of the graph.", drawing.lines(unit, fill=0),
        Cql(
            f'SELECT symbol, {cql}, floor(event_time, $__interval) AS time FROM "$feed".{QUOTES}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(BEST_QUOTES.bucket, HOURS)} AND {within('event_time')}"
            f" AND {_BOTH_SIDES} GROUP BY symbol, hour, floor(event_time, $__interval) ALLOW FILTERING"
        ),
        Get(
            f"/{QUOTES}/averages",
            (("symbol", "$symbol"), *RANGE, ("step", "$__interval")),
            [("event_time", "time", TIME), *((name, name, NUMBER) for name in names)],
        ),
        Sql(
            "SELECT date_bin('$__interval_ms milliseconds', event_time, TIMESTAMP 'epoch') AS time,"
            f' {sql} FROM "$feed".{QUOTES} WHERE symbol = {SYMBOL} AND $__timeFilter(event_time) GROUP BY 1 ORDER BY 1'
        ),
        shaping.by_time(*names), width=12,
        read={Source.CASSANDRA: f"the last {HOURS - 1} hours of the range"},
    )  # fmt: skip
