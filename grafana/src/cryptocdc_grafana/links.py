"""Links between the dashboards: from a symbol to its candles and its feed's pipeline and back; to home and runbooks."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import DashboardLink, DashboardLinkType

from cryptocdc_grafana.sources import Source

TAG = "cryptocdc"
RANGE = "${__url_time_range}"
FEED = "${feed:queryparam}"
HOME, PIPELINE, RUNBOOKS = "home", "pipeline", "runbooks"


def uid(name: str) -> str:
    """Return the uid of the dashboard in the file `name`.json."""
    return f"cryptocdc-{name}"


def market(source: Source) -> str:
    """Return the file name of the source's market dashboard."""
    return f"market-{source.label.lower()}"


def path(name: str, *query: str) -> str:
    return "&".join((f"/d/{uid(name)}?{RANGE}", *query))


def panel(name: str, panel_id: int) -> str:
    """Return the link to one panel of a dashboard, in full screen."""
    return f"/d/{uid(name)}?viewPanel=panel-{panel_id}"


def of_every_dashboard() -> list[Builder[DashboardLink]]:
    """Return the links at the top: home, a menu of all others, runbooks."""
    menu = dashboard.DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    return [_link("Home", path(HOME)), menu.keep_time(True), _link("Runbooks", path(RUNBOOKS))]


def to_pipeline(source: Source) -> dashboard.DashboardLink:
    return _link("Pipeline", path(PIPELINE, *_feed(source)))


def to_market() -> dashboard.DashboardLink:
    return _link("Market", path(market(Source.CASSANDRA), FEED))


def of_symbol(source: Source) -> list[dict[str, str]]:
    """Return the links of a row with a column `symbol`."""
    chosen = "var-symbol=${__data.fields.symbol}"
    return [
        {"title": "Candles of ${__data.fields.symbol}", "url": path(market(source), chosen, *_feed(source))},
        {"title": "Pipeline of the feed", "url": path(PIPELINE, *_feed(source))},
    ]


def of_series() -> list[dict[str, str]]:
    """Return the links of a series of the pipeline."""
    return [{"title": "Market of the feed", "url": path(market(Source.CASSANDRA), FEED)}]


def _feed(source: Source) -> tuple[str, ...]:
    """Return the query parameter for the feed; an API instance serves one feed, so its dashboard has none."""
    return () if source is Source.API else (FEED,)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).icon("external link").url(url)
