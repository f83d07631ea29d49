"""The dashboards, whole: title, uid, variables, panels."""

from __future__ import annotations

from typing import get_args

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard, VariableOption, VariableRefresh, VariableSort

from cryptocdc_core.catalogue import NEWEST_PRICES
from cryptocdc_core.feed import KlineInterval
from cryptocdc_grafana import cassandra, connect, kafka, market, operations, postgresql
from cryptocdc_grafana.sections import OperationsDashboard
from cryptocdc_grafana.sources import VARIABLE, Get, Query, Source

MARKET_SOURCES = (Source.CASSANDRA, Source.API, Source.POSTGRES)
OPERATIONS = {
    "pipeline": OperationsDashboard("pipeline", operations.pipeline()),
    "programs": OperationsDashboard("programs", operations.programs()),
    "connect": OperationsDashboard("Connect and Debezium", connect.sections(), connect.INSTANCES),
    "kafka": OperationsDashboard("Kafka", kafka.sections(), kafka.INSTANCES),
    "postgresql": OperationsDashboard("PostgreSQL", postgresql.sections(), postgresql.INSTANCES),
    "cassandra": OperationsDashboard("Cassandra", cassandra.sections(), cassandra.INSTANCES),
}
"""By the name of the file, which is the end of the uid too."""
REFRESH = "10s"
INTERVAL, SYMBOL = "1m", "BTCUSDT"

SYMBOLS_CQL = f'SELECT symbol FROM "$feed".{NEWEST_PRICES.table} WHERE shard = 0'
SYMBOLS_SQL = (
    'SELECT DISTINCT symbol FROM "$feed".latest_prices'
    " WHERE event_time > (now() AT TIME ZONE 'UTC') - interval '1 hour' ORDER BY 1"
)
SYMBOLS_GET = Get("/symbols", (), [("symbol", "symbol", market.TEXT)])
FEEDS_CQL = "SELECT keyspace_name FROM system_schema.keyspaces"
FEEDS_SQL = (
    "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid"
    f" WHERE relname = '{NEWEST_PRICES.source}' ORDER BY 1"
)
FEEDS_PROMQL = "label_values(cryptocdc_consumer_rows_total, feed)"
OWN_KEYSPACES = "/^(?!system|reaper_db|data_endpoint_auth)(.*)$/"


def all_of_them() -> dict[str, Dashboard]:
    """By the name of the file that each is written to."""
    made = {f"market-{source.label.lower()}": _market(source) for source in MARKET_SOURCES}
    return made | {name: _operations(name, shown) for name, shown in OPERATIONS.items()}


def _begun(uid: str, title: str, source: Source) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["cryptocdc"])
        .timezone("browser")
        .refresh(REFRESH)
        .time("now-1h", "now")
        .with_variable(dashboard.DatasourceVariable(VARIABLE).label("Data source").type(source.plugin))
    )


def _market(source: Source) -> Dashboard:
    made = _begun(f"cryptocdc-market-{source.label.lower()}", f"cryptocdc: market, from {source.label}", source)
    if source is not Source.API:  # an API serves one feed
        made = made.with_variable(_feed(source))
    made = made.with_variable(_symbol(source, "symbol", "Symbol")).with_variable(
        _symbol(source, "symbols", "Symbols").multi(True).include_all(True).current(_option("All", "$__all"))
    )
    made = made.with_variable(
        dashboard.CustomVariable("interval")
        .label("Interval")
        .values(",".join(get_args(KlineInterval)))
        .current(_option(INTERVAL, INTERVAL))
    )
    for panel in market.panels():
        drawn = panel.draw().title(panel.title).description(panel.doc).datasource(source.ref)
        drawn = drawn.with_target(panel.query(source)).span(panel.width).height(panel.height)
        made = made.with_panel(drawn.transformations(list(panel.shaped)))
    return made.build()


def _operations(name: str, shown: OperationsDashboard) -> Dashboard:
    made = _begun(f"cryptocdc-{name}", f"cryptocdc: {shown.title}", Source.PROMETHEUS)
    made = made.with_variable(_feed(Source.PROMETHEUS))
    if shown.instances is not None:
        made = made.with_variable(_instance(shown.instances))
    for section in shown.sections:
        made = made.with_row(dashboard.Row(section.title))
        for panel in section.panels:
            drawn = panel.draw().title(panel.title).description(panel.doc).datasource(Source.PROMETHEUS.ref)
            for ref_id, asked in zip("ABCDEFGH", panel.queries, strict=False):
                drawn = drawn.with_target(asked.query(ref_id))
            made = made.with_panel(drawn.span(panel.width).height(panel.height))
    return made.build()


def _instance(metric: str) -> dashboard.QueryVariable:
    """Which of the servers: pods on Kubernetes, a server's name on one machine."""
    asked = {"qryType": 1, "query": f"label_values({metric}, instance)", "refId": "instances"}
    variable = dashboard.QueryVariable("instance").label("Instance").datasource(Source.PROMETHEUS.ref).query(asked)
    variable = variable.sort(VariableSort.ALPHABETICAL_ASC).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).current(_option("All", "$__all"))


def _feed(source: Source) -> dashboard.QueryVariable:
    """Its identity: the name of its keyspace and schema, and the label of its programs' metrics."""
    variable = dashboard.QueryVariable("feed").label("Feed").datasource(source.ref).sort(VariableSort.ALPHABETICAL_ASC)
    variable = variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    if source is Source.CASSANDRA:
        return variable.query({"query": FEEDS_CQL}).regex(OWN_KEYSPACES)
    if source is Source.POSTGRES:
        return variable.query(FEEDS_SQL)
    return variable.query({"qryType": 1, "query": FEEDS_PROMQL, "refId": "feeds"})


def _symbol(source: Source, name: str, label: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).datasource(source.ref).sort(VariableSort.ALPHABETICAL_ASC)
    variable = variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD).current(_option(SYMBOL, SYMBOL))
    if source is Source.CASSANDRA:
        return variable.query({"query": SYMBOLS_CQL})
    if source is Source.POSTGRES:
        return variable.query(SYMBOLS_SQL)
    asked: Query = SYMBOLS_GET.query
    return variable.query({"queryType": "infinity", "refId": "symbols", "infinityQuery": asked.to_json()})


def _option(text: str, value: str) -> VariableOption:
    return VariableOption(selected=True, text=text, value=value)
