"""The panels of forecasts, made by the analyzer. PostgreSQL has no table of them: there they are estimated."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue.computed import FORECAST_RUN_WINDOWS, FORECASTS
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, number, reported, within
from cryptocdc_grafana.market.panel import NUMBER, SYMBOL, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

DAYS = 2
_LEAST = {
    "volatility": 0, "actual_volatility": 0, "lower": -1_000, "upper": 0, "actual_return": -1, "coverage": 0,
    "skill_last": -1_000_000, "skill_mean": -1_000_000,
}  # fmt: skip
"""Of the columns that are drawn, all of them nullable."""


def _past(windows: int, until: str = "1 PRECEDING") -> str:
    return f"(ORDER BY time ROWS BETWEEN {windows} PRECEDING AND {until})"


_FIRST, _LAST = (f"(array_agg(price ORDER BY trade_time {way}, trade_id {way}))[1]" for way in ("ASC", "DESC"))
_WINDOWS = (
    "SELECT date_bin('$bar'::interval, trade_time, TIMESTAMP 'epoch') AS time,"
    f" (nullif(ln(max(price) / min(price)), 0) / sqrt(4 * ln(2.0)))::float8 AS v, ({_LAST} / {_FIRST} - 1)::float8 AS r"
    f' FROM "$feed".{RECENT_TRADES.table} WHERE symbol = {SYMBOL} AND price > 0 AND $__timeFilter(trade_time)'
    " GROUP BY 1"
)
"""Parkinson's volatility and the return of each window."""
_PREDICTED = (
    f"SELECT time, v, r, exp(avg(ln(v)) OVER {_past(22)}) AS p, lag(v) OVER (ORDER BY time) AS last,"
    f" exp(avg(ln(v)) OVER {_past(FORECAST_RUN_WINDOWS)}) AS mean, 1.645 * stddev(r) OVER {_past(22)} AS bound"
    f" FROM ({_WINDOWS}) windows"
)


def _skill(other: str) -> str:
    errors = (f"sum(power(ln({one} / v), 2)) OVER {_past(FORECAST_RUN_WINDOWS, 'CURRENT ROW')}" for one in ("p", other))
    ours, theirs = errors
    return f"1 - {ours} / nullif({theirs}, 0)"


_INSIDE = f"avg((abs(r) <= bound)::int) OVER {_past(FORECAST_RUN_WINDOWS, 'CURRENT ROW')}"
_SQL = {
    "volatility": "p", "actual_volatility": "v", "lower": "-bound", "upper": "bound", "actual_return": "r",
    "coverage": _INSIDE, "skill_last": _skill("last"), "skill_mean": _skill("mean"),
}  # fmt: skip


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _lines("Predicted volatility of $symbol, every $bar", "And what came. A window is predicted before it begins",
                 "percentunit", "volatility", "actual_volatility")  # fmt: skip
    yield _lines("Interval of returns of $symbol, every $bar", "Nine of ten should be between the bounds",
                 "percentunit", "lower", "upper", "actual_return")  # fmt: skip
    yield _lines(
        "Share of returns inside, every $bar", "Of the last 120 windows of $symbol; 90 % is the aim",
        "percentunit", "coverage",
    )  # fmt: skip
    yield _lines(
        "Skill of forecasts of $symbol, every $bar",
        "How much smaller the squared errors of the last 120 forecasts are than those of the last window's value, and"
        " of the mean of the past. At 0 and below there is no skill: without volatility clustering, the mean is best",
        "percentunit", "skill_last", "skill_mean",
    )  # fmt: skip


def _lines(title: str, doc: str, unit: str, *names: str) -> MarketPanel:
    known = " AND ".join(reported(name, _LEAST[name]) for name in names)
    return MarketPanel(
        title,
        f"{doc}. The feed must compute forecasts of that length. From PostgreSQL an estimate.",
        drawing.lines(unit, fill=0),
        Cql(
            f"SELECT symbol, {', '.join(number(name, name) for name in names)}, open_time AS time"
            f' FROM "$feed".{FORECASTS.table} WHERE symbol = {SYMBOL} AND interval = \'$bar\''
            f" AND {newest_buckets(FORECASTS.bucket, DAYS)} AND {within('open_time')} AND {known} ALLOW FILTERING"
        ),
        Get(
            f"/{FORECASTS.table}", (("symbol", "$symbol"), ("interval", "$bar"), *WHOLE),
            [("open_time", "time", TIME), *((name, name, NUMBER) for name in names)],
        ),
        Sql(
            f"SELECT time, {', '.join(names)}"
            f" FROM (SELECT time, {', '.join(f'({_SQL[name]})::float8 AS {name}' for name in names)}"
            f" FROM ({_PREDICTED}) predicted) estimated"
            f" WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)} ORDER BY 1"
        ),
        shaping.by_time(*names), width=12, read={Source.CASSANDRA: f"the last {DAYS} calendar days of the range"},
    )  # fmt: skip
