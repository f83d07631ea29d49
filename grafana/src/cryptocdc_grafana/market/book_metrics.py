"""The panels of order books' figures, computed by the analyzer. PostgreSQL has no table of them: the query does it."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue.computed import BOOK_METRICS
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, reported, within
from cryptocdc_grafana.market.panel import NUMBER, SYMBOL, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

HOURS = 3
"""Partitions of an hour each; the range covers the first and the last only in part."""
_BID, _ASK, _BIDS, _ASKS = "bid_prices[1]", "ask_prices[1]", "bid_quantities", "ask_quantities"


def _share(depth: int) -> str:
    bids, asks = (f"(SELECT sum(q) FROM unnest({side}[1:{depth}]) q)" for side in (_BIDS, _ASKS))
    return f"({bids} - {asks}) / nullif({bids} + {asks}, 0)"


_SQL = {
    "mid": f"({_BID} + {_ASK}) / 2",
    "microprice": f"({_BID} * {_ASKS}[1] + {_ASK} * {_BIDS}[1]) / nullif({_BIDS}[1] + {_ASKS}[1], 0)",
    "imbalance_1": _share(1),
    "imbalance_20": _share(20),
}


_LEAST = {"mid": 0, "microprice": 0, "imbalance_1": -1, "imbalance_20": -1}


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _averaged("Mid and microprice of $symbol", "In the quote asset", "none", "mid", "microprice")
    yield _averaged("Imbalance by depth of $symbol", "Bid less asked, as a share, of the best level and the best 20",
                    "percentunit", "imbalance_1", "imbalance_20")  # fmt: skip


def _averaged(title: str, doc: str, unit: str, *names: str) -> MarketPanel:
    """Draw one point per step of the panel. Order books with an empty side are in no mean."""
    cql = ", ".join(f"avg(CAST({name} AS double)) AS {name}" for name in names)
    known = " AND ".join(reported(name, _LEAST[name]) for name in names)
    sql = ", ".join(f"avg(({_SQL[name]})::float8) AS {name}" for name in names)
    return MarketPanel(
        title, f"{doc}. Mean of the order books in each step of the graph.", drawing.lines(unit, fill=0),
        Cql(
            f'SELECT symbol, {cql}, floor(bucket_time, $__interval) AS time FROM "$feed".{BOOK_METRICS.table}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(BOOK_METRICS.bucket, HOURS)} AND {within('bucket_time')}"
            f" AND {known} GROUP BY symbol, hour, floor(bucket_time, $__interval) ALLOW FILTERING"
        ),
        Get(
            f"/{BOOK_METRICS.table}", (("symbol", "$symbol"), *WHOLE),
            [("bucket_time", "time", TIME), *((name, name, NUMBER) for name in names)],
        ),
        Sql(
            "SELECT date_bin('$__interval_ms milliseconds', bucket_time, TIMESTAMP 'epoch') AS time,"
            f' {sql} FROM "$feed".{ORDER_BOOK.table} WHERE symbol = {SYMBOL} AND $__timeFilter(bucket_time)'
            " GROUP BY 1 ORDER BY 1"
        ),
        shaping.by_time(*names), width=12, read={Source.CASSANDRA: f"the last {HOURS - 1} hours of the range"},
    )  # fmt: skip
