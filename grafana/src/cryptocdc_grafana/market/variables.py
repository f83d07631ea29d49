"""The dashboards' variables and the queries for their values."""

from __future__ import annotations

from typing import get_args

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from cryptocdc_core.catalogue import NEWEST_PRICES, Bucket
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.feed.streams import KlineInterval
from cryptocdc_grafana.market.cql import NOW, newest_of
from cryptocdc_grafana.market.panel import TEXT
from cryptocdc_grafana.sources import Get, Query, Source

INTERVAL, SYMBOL = "1m", "BTCUSDT"

SYMBOLS_CQL = f'SELECT symbol FROM "$feed".{NEWEST_PRICES.table} WHERE shard = 0'
SYMBOLS_SQL = (
    'SELECT DISTINCT symbol FROM "$feed".latest_prices'
    " WHERE event_time > (now() AT TIME ZONE 'UTC') - interval '1 hour' ORDER BY 1"
)
SYMBOLS_GET = Get("/symbols", (), [("symbol", "symbol", TEXT)])
FEEDS_CQL = "SELECT keyspace_name FROM system_schema.keyspaces"
FEEDS_SQL = (
    "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid"
    f" WHERE relname = '{NEWEST_PRICES.source}' ORDER BY 1"
)
FEEDS_PROMQL = 'label_values({__name__=~"cryptocdc_(producer|consumer|verifier)_rows_total"}, feed)'
"""A feed has no producers while it is suspended, and no consumers where Kafka Connect writes."""
OWN_KEYSPACES = "/^(?!system|reaper_db|data_endpoint_auth)(.*)$/"
INTERVALS_CQL = (
    f"SELECT interval FROM \"$feed\".{KLINES.table} WHERE symbol = '$symbol'"
    f" AND interval IN ({', '.join(repr(interval) for interval in get_args(KlineInterval))})"
    f" AND {newest_of(KLINES, {Bucket.MONTH: 2, Bucket.DAY: 2}, NOW)} PER PARTITION LIMIT 1"
)
"""The intervals for which the symbol has candles: reads one row of each interval's partition."""
INTERVALS_SQL = (
    f"SELECT interval FROM \"$feed\".{KLINES.table} WHERE symbol = '$symbol'"
    " GROUP BY interval ORDER BY min(close_time - open_time)"
)
INTERVALS_GET = Get("/intervals", (), [("interval", "interval", TEXT)])


def instance(metric: str) -> dashboard.QueryVariable:
    """The servers: pods on Kubernetes, a server's name on one machine."""
    asked = {"qryType": 1, "query": f"label_values({metric}, instance)", "refId": "instances"}
    variable = dashboard.QueryVariable("instance").label("Instance").datasource(Source.PROMETHEUS.ref).query(asked)
    variable = variable.sort(VariableSort.ALPHABETICAL_ASC).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).current(_option("All", "$__all"))


def feed(source: Source) -> dashboard.QueryVariable:
    """The feed's identity: the name of its keyspace and schema, and the label `feed` of its programs' metrics."""
    variable = dashboard.QueryVariable("feed").label("Feed").datasource(source.ref).sort(VariableSort.ALPHABETICAL_ASC)
    variable = variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    if source is Source.CASSANDRA:
        return variable.query({"query": FEEDS_CQL}).regex(OWN_KEYSPACES)
    if source is Source.POSTGRES:
        return variable.query(FEEDS_SQL)
    return variable.query({"qryType": 1, "query": FEEDS_PROMQL, "refId": "feeds"})


def symbol(source: Source) -> dashboard.QueryVariable:
    return _symbol(source, "symbol", "Symbol")


def symbols(source: Source) -> dashboard.QueryVariable:
    return _symbol(source, "symbols", "Symbols").multi(True).include_all(True).current(_option("All", "$__all"))


def interval(source: Source) -> dashboard.QueryVariable:
    """Only intervals for which the feed captures candles."""
    variable = _listed(source, "interval", "Interval", INTERVALS_CQL, INTERVALS_SQL, INTERVALS_GET)
    return variable.sort(VariableSort.DISABLED).current(_option(INTERVAL, INTERVAL))


def bar() -> dashboard.TextBoxVariable:
    """The length of the bars to show. It is typed, since a query would fail for each feed without bars."""
    return dashboard.TextBoxVariable("bar").label("Bars").default_value(INTERVAL)


def _symbol(source: Source, name: str, label: str) -> dashboard.QueryVariable:
    variable = _listed(source, name, label, SYMBOLS_CQL, SYMBOLS_SQL, SYMBOLS_GET)
    return variable.sort(VariableSort.ALPHABETICAL_ASC).current(_option(SYMBOL, SYMBOL))


def _listed(source: Source, name: str, label: str, cql: str, sql: str, get: Get) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).datasource(source.ref)
    variable = variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    if source is Source.CASSANDRA:
        return variable.query({"query": cql})
    if source is Source.POSTGRES:
        return variable.query(sql)
    asked: Query = get.query
    return variable.query({"queryType": "infinity", "refId": name, "infinityQuery": asked.to_json()})


def _option(text: str, value: str) -> VariableOption:
    return VariableOption(selected=True, text=text, value=value)
