"""The complete dashboards: title, uid, variables, panels."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import Any

from grafana_foundation_sdk.builders import dashboard, dashboardlist, table, text
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue
from grafana_foundation_sdk.models.text import TextMode

from cryptocdc_grafana import links, runbooks
from cryptocdc_grafana.links import TAG, uid
from cryptocdc_grafana.market import all_panels
from cryptocdc_grafana.market.panel import MarketPanel
from cryptocdc_grafana.market.variables import bar, feed, instance, interval, symbol, symbols
from cryptocdc_grafana.operations import cassandra, connect, kafka, postgresql, programs
from cryptocdc_grafana.operations.sections import WIDTH, OperationsDashboard, OperationsPanel, Section
from cryptocdc_grafana.sources import VARIABLE, Source

MARKET_SOURCES = (Source.CASSANDRA, Source.API, Source.POSTGRES)
OPERATIONS = {
    "pipeline": OperationsDashboard("pipeline", programs.pipeline()),
    "programs": OperationsDashboard("programs", programs.programs()),
    "connect": OperationsDashboard("Connect and Debezium", connect.sections(), connect.INSTANCES),
    "kafka": OperationsDashboard("Kafka", kafka.sections(), kafka.INSTANCES),
    "postgresql": OperationsDashboard("PostgreSQL", postgresql.sections(), postgresql.INSTANCES),
    "cassandra": OperationsDashboard("Cassandra", cassandra.sections(), cassandra.INSTANCES),
}
"""By file name, which is also the suffix of the uid."""
REFRESH = "10s"
MIN_INTERVAL = "1s"
"""The minimum of `$__interval`: order books are written once per second at most."""


@cache
def all_of_them() -> dict[str, Dashboard]:
    """Return every dashboard, by the name of the file it is written to."""
    made = {links.market(source): _market(source) for source in MARKET_SOURCES}
    made |= {name: _operations(name, shown) for name, shown in OPERATIONS.items()}
    return made | {links.HOME: _home(), links.RUNBOOKS: _runbooks()}


def _new_dashboard(name: str, title: str, source: Source | None) -> dashboard.Dashboard:
    made = dashboard.Dashboard(f"cryptocdc: {title}").uid(uid(name)).tags([TAG]).timezone("browser")
    made = made.refresh(REFRESH).time("now-1h", "now").links(links.of_every_dashboard())
    if source is None:
        return made
    return made.with_variable(dashboard.DatasourceVariable(VARIABLE).label("Data source").type(source.plugin))


def _market(source: Source) -> Dashboard:
    made = _new_dashboard(links.market(source), f"market, from {source.label}", source)
    made = made.link(links.to_pipeline(source))
    if source is not Source.API:  # an API instance serves one feed
        made = made.with_variable(feed(source))
    for variable in (symbol(source), symbols(source), interval(source), bar()):
        made = made.with_variable(variable)
    number = 0
    for number, panel in enumerate(all_panels.panels(), 1):
        made = made.with_panel(_drawn_for(panel, source).id(number))
    for title, panels in all_panels.OPTIONAL.items():
        # A closed row: its panels query nothing until it is opened, and not every feed has their tables.
        number += 1
        row = dashboard.Row(f"{title} (of feeds that have them)").id(number)
        for panel in panels():
            number += 1
            row = row.with_panel(_drawn_for(panel, source).id(number))
        made = made.with_row(row)
    return made.build()


def _drawn_for(panel: MarketPanel, source: Source) -> Any:
    drawn = panel.draw().title(panel.title).description(panel.description(source)).datasource(source.ref)
    for query in panel.queries(source):
        drawn = drawn.with_target(query)
    if panel.linked:
        where = [DynamicConfigValue(id_val="links", value=links.of_symbol(source))]
        of_table = isinstance(drawn, table.Panel)
        drawn = drawn.override_by_name("symbol", where) if of_table else drawn.override_by_regexp("/.*/", where)
    drawn = drawn.span(panel.width).height(panel.height).interval(MIN_INTERVAL)
    return drawn.transformations(list(panel.shaped))


def _operations(name: str, shown: OperationsDashboard) -> Dashboard:
    made = (
        _new_dashboard(name, shown.title, Source.PROMETHEUS)
        .link(links.to_market())
        .with_variable(feed(Source.PROMETHEUS))
    )
    if shown.instances is not None:
        made = made.with_variable(instance(shown.instances))
    number = 0
    for section in shown.sections:
        row = dashboard.Row(section.title).id(number + 1)
        drawn = [
            _drawn(panel, section).span(width).id(number + at)
            for at, (panel, width) in enumerate(zip(section.panels, section.widths, strict=True), 2)
        ]
        number += 1 + len(drawn)
        if section.closed:
            for panel in drawn:
                row = row.with_panel(panel)
            made = made.with_row(row)
            continue
        made = made.with_row(row)
        for panel in drawn:
            made = made.with_panel(panel)
    return made.build()


def _drawn(panel: OperationsPanel, section: Section | None = None) -> Any:
    drawn = panel.draw().title(panel.title).description(panel.doc).datasource(Source.PROMETHEUS.ref)
    for ref_id, asked in zip("ABCDEFGH", panel.queries, strict=False):
        drawn = drawn.with_target(asked.query(ref_id))
    if panel.to_market:
        drawn = drawn.override_by_regexp("/.*/", [DynamicConfigValue(id_val="links", value=links.of_series())])
    if section is not None and section.empty:
        drawn = drawn.no_value(section.empty)
    return drawn.height(panel.height)


def _home() -> Dashboard:
    """Return Grafana's start page: whether the feed is healthy, which alerts fire, and links to all dashboards."""
    made = _new_dashboard(links.HOME, "home", Source.PROMETHEUS).with_variable(feed(Source.PROMETHEUS))
    made = made.link(links.to_market()).link(links.to_pipeline(Source.PROMETHEUS))
    figures = Section("", programs.feeds_now())
    number = 0
    for number, (panel, width) in enumerate(zip(figures.panels, figures.widths, strict=True), 1):
        made = made.with_panel(_drawn(panel).span(width).id(number))
    shown = {
        "viewMode": "list", "groupMode": "default", "groupBy": [], "maxItems": 20, "sortOrder": 3,
        "dashboardAlerts": False, "alertName": "", "alertInstanceLabelFilter": "",
        "stateFilter": {"firing": True, "pending": True, "error": True, "noData": False, "normal": False},
    }  # fmt: skip
    alerts = dashboard.Panel().type("alertlist").title("Alerts").options(shown)
    alerts = alerts.description("Pending and firing alerts, each with a link to its panel and its runbook.")
    found = dashboardlist.Panel().title("Dashboards").description("All dashboards of cryptocdc.").tags([TAG])
    found = found.show_search(True).show_starred(False).show_recently_viewed(False).show_headings(False)
    found = found.keep_time(True).max_items(30)
    made = made.with_panel(alerts.id(number + 1).span(WIDTH // 2).height(14))
    return made.with_panel(found.id(number + 2).span(WIDTH // 2).height(14)).build()


def _runbooks() -> Dashboard:
    made = _new_dashboard(links.RUNBOOKS, "runbooks", None)
    for number, (alert, words) in enumerate(runbooks.texts().items(), 1):
        panel = text.Panel().title(alert).description("The runbook of this alert.").mode(TextMode.MARKDOWN)
        panel = panel.content(words).span(WIDTH).height(runbooks.height(words)).id(number)
        made = made.with_panel(panel)
    return made.build()


def panel_id(name: str, title: str) -> int:
    """Return the id of the panel with that title. Raises ValueError unless there is exactly one."""
    panels = all_of_them()[name].panels or []
    inner = chain.from_iterable([panel, *(getattr(panel, "panels", None) or [])] for panel in panels)
    found = [panel.id_val for panel in inner if panel.title == title]
    if len(found) != 1 or found[0] is None:
        raise ValueError(f"{name} has {len(found)} panels with the title {title!r}")
    return int(found[0])
