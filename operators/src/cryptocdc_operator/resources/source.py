"""Where a feed's data comes from: an exchange, or this installation's simulator. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptocdc_core import names
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Source
from cryptocdc_exchanges.registry import simulated
from cryptocdc_operator.settings import OperatorSettings


def source_of(feed: CryptoFeed, settings: OperatorSettings) -> Source:
    """Return `simulated` also for a feed of another exchange if one of its endpoints is this installation's simulator.
    Any other simulator can't be distinguished from an exchange by its address."""
    endpoints = feed.spec.endpoints
    if any(_is_simulator(url, settings) for url in (endpoints.rest, endpoints.websocket) if url is not None):
        return "simulated"
    return names.source_of(feed.spec.exchange)


def exchange_urls(feed: CryptoFeed, settings: OperatorSettings) -> tuple[str | None, str | None]:
    """Return the REST and WebSocket URLs of this cluster's simulator for a feed of the exchange `simulated`, otherwise
    None: its own endpoints apply."""
    if feed.spec.exchange != "simulated":
        return None, None
    hosts = simulated(feed, settings.simulator_rest_url, settings.simulator_websocket_url).hosts
    return hosts.rest, hosts.websocket


def _is_simulator(url: str, settings: OperatorSettings) -> bool:
    """Whether the URL's host is the simulator's service, by its name, or with the namespace or the cluster's domain."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    for own in (settings.simulator_rest_url, settings.simulator_websocket_url):
        service = urlsplit(own).hostname or ""
        inside = f"{service}.{settings.namespace}"
        if host in (service, inside, f"{inside}.svc") or host.startswith(f"{inside}.svc."):
            return True
    return False
