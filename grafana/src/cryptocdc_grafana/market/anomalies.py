"""The panels of anomalies, found by the analyzer. PostgreSQL has no table of them: there scores are estimated."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue.computed import ANOMALIES, LEAST_DEVIATION, RUN_WINDOWS
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, number, reported, within
from cryptocdc_grafana.market.panel import NUMBER, SYMBOL, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

DAYS = 2
_FIRST, _LAST = (f"(array_agg(price ORDER BY trade_time {way}, trade_id {way}))[1]" for way in ("ASC", "DESC"))
_TITLES = {"price": "Price change", "volume": "Volume", "spread": "Spread", "quote_rate": "Quote rate"}
_SQL = {
    "price": (RECENT_TRADES, f"{_LAST} / nullif({_FIRST}, 0) - 1"),
    "volume": (RECENT_TRADES, "ln(nullif(sum(quantity), 0))"),
    "spread": (ORDER_BOOK, "ln(nullif(greatest(avg(ask_prices[1] - bid_prices[1]), 0), 0))"),
    "quote_rate": (ORDER_BOOK, "ln(count(*))"),
}
"""By kind, the captured stream and what is compared of a window of it."""


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    for kind, title in _TITLES.items():
        yield _scores(kind, title)


def _scores(kind: str, title: str) -> MarketPanel:
    stream, value = _SQL[kind]
    past = f"(ORDER BY time ROWS BETWEEN {2 * RUN_WINDOWS} PRECEDING AND 1 PRECEDING)"
    return MarketPanel(
        f"{title} of $symbol, every $bar",
        "Distance from the mean of past windows in standard deviations; from 5 on a window is an anomaly. The feed must"
        " find anomalies of that length. From PostgreSQL an estimate.",
        drawing.lines("none", fill=0),
        Cql(
            f'SELECT symbol, {number("score", "score")}, open_time AS time FROM "$feed".{ANOMALIES.table}'
            f" WHERE symbol = {SYMBOL} AND interval = '$bar' AND kind = '{kind}'"
            f" AND {newest_buckets(ANOMALIES.bucket, DAYS)} AND {within('open_time')} AND {reported('score')}"
            " ALLOW FILTERING"
        ),
        Get(
            f"/{ANOMALIES.table}", (("symbol", "$symbol"), ("interval", "$bar"), ("kind", kind), *WHOLE),
            [("open_time", "time", TIME), ("score", "score", NUMBER)],
        ),
        Sql(
            "SELECT time, score FROM (SELECT time,"
            " (abs(value - avg(value) OVER past)"
            f" / greatest(stddev(value) OVER past, {LEAST_DEVIATION[kind]}))::float8 AS score"
            f" FROM (SELECT date_bin('$bar'::interval, {stream.time}, TIMESTAMP 'epoch') AS time,"
            f' ({value})::float8 AS value FROM "$feed".{stream.table} WHERE symbol = {SYMBOL}'
            f" AND $__timeFilter({stream.time}) GROUP BY 1) windows WINDOW past AS {past}) compared"
            " WHERE score IS NOT NULL ORDER BY 1"
        ),
        shaping.by_time("score"), width=12, read={Source.CASSANDRA: f"the last {DAYS} calendar days of the range"},
    )  # fmt: skip
