"""The panels of bars computed from trades. PostgreSQL has no table of them: there they are computed by the query."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue.computed import BARS, VOLATILITY
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, number, reported, separately, within
from cryptocdc_grafana.market.panel import NUMBER, SYMBOL, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

DAYS = 2
_BOUGHT = "sum(CASE WHEN buyer_is_maker THEN -quantity ELSE quantity END)"
_SQL = {
    "close": "(array_agg(price ORDER BY trade_time DESC, trade_id DESC))[1]",
    "vwap": "sum(price * quantity) / nullif(sum(quantity), 0)",
    "imbalance": f"{_BOUGHT} / nullif(sum(quantity), 0)",
}
_LEAST = {"vwap": 0, "imbalance": -1}
"""Of nullable columns."""


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _lines("VWAP of $symbol, every $bar", "Last price and volume-weighted average price of each bar", "none",
                 "close", "vwap")  # fmt: skip
    yield _lines("Buyers and sellers of $symbol, every $bar", "Bought less sold by takers, as a share of the volume",
                 "percentunit", "imbalance")  # fmt: skip


def volatility() -> Iterator[MarketPanel]:
    """Yield the panel of volatility."""
    yield MarketPanel(
        "Volatility of windows of $bar of $symbol",
        "Realized and Parkinson volatility of each window, not annualized. The feed must compute that length. From"
        " PostgreSQL only an estimate of Parkinson's, of the window as a whole.",
        drawing.lines("percentunit", fill=0),
        Cql(
            f'SELECT symbol, {number("realized", "realized")}, {number("parkinson", "parkinson")}, open_time AS time'
            f' FROM "$feed".{VOLATILITY.table} WHERE symbol = {SYMBOL} AND interval = \'$bar\''
            f" AND {newest_buckets(VOLATILITY.bucket, DAYS)} AND {within('open_time')} AND {reported('realized')}"
            f" AND {reported('parkinson')} ALLOW FILTERING"
        ),
        Get(
            f"/{VOLATILITY.table}", (("symbol", "$symbol"), ("interval", "$bar"), *WHOLE),
            [("open_time", "time", TIME), ("realized", "realized", NUMBER), ("parkinson", "parkinson", NUMBER)],
        ),
        Sql(
            "SELECT date_bin('$bar'::interval, trade_time, TIMESTAMP 'epoch') AS time,"
            " (ln(max(price) / nullif(min(price), 0)) / sqrt(4 * ln(2.0)))::float8 AS parkinson"
            f' FROM "$feed".{RECENT_TRADES.table} WHERE symbol = {SYMBOL} AND price > 0 AND $__timeFilter(trade_time)'
            " GROUP BY 1 ORDER BY 1"
        ),
        shaping.by_time("realized", "parkinson"), width=24,
        read={Source.CASSANDRA: f"the last {DAYS} calendar days of the range"},
    )  # fmt: skip


def _lines(title: str, doc: str, unit: str, *names: str) -> MarketPanel:
    cql, *apart = (_of_bars(asked) for asked in separately(names, _LEAST))
    sql = ", ".join(f"({_SQL[name]})::float8 AS {name}" for name in names)
    return MarketPanel(
        title, f"{doc}. The feed must compute bars of that length.", drawing.lines(unit, fill=0), cql,
        Get(
            f"/{BARS.table}", (("symbol", "$symbol"), ("interval", "$bar"), *WHOLE),
            [("open_time", "time", TIME), *((name, name, NUMBER) for name in names)],
        ),
        Sql(
            f"SELECT date_bin('$bar'::interval, trade_time, TIMESTAMP 'epoch') AS time, {sql}"
            f' FROM "$feed".{RECENT_TRADES.table} WHERE symbol = {SYMBOL} AND $__timeFilter(trade_time)'
            " GROUP BY 1 ORDER BY 1"
        ),
        shaping.by_time(*names), width=12, apart=tuple(apart),
        read={Source.CASSANDRA: f"the last {DAYS} calendar days of the range"},
    )  # fmt: skip


def _of_bars(names: list[str]) -> Cql:
    known = "".join(f" AND {reported(name, _LEAST[name])}" for name in names if name in _LEAST)
    return Cql(
        f'SELECT symbol, {", ".join(number(name, name) for name in names)}, open_time AS time FROM "$feed".{BARS.table}'
        f" WHERE symbol = {SYMBOL} AND interval = '$bar' AND {newest_buckets(BARS.bucket, DAYS)}"
        f" AND {within('open_time')}{known}{known and ' ALLOW FILTERING'}"
    )
