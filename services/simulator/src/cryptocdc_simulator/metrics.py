"""The simulator's metrics in Prometheus' text format, read from its counters on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cryptocdc_simulator.connections import Connections
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.rest_endpoint import RestEndpoint

Counted = tuple[str, Connections, RestEndpoint, Faults]
"""A venue's name and its counters."""


class _Figures(Collector):
    def __init__(self, venues: Iterable[Counted]) -> None:
        self._venues = list(venues)

    def collect(self) -> Iterator[Metric]:
        venue = ["dialect"]
        connections = GaugeMetricFamily("cryptocdc_simulator_connections", "Open WebSocket connections.", labels=venue)
        accepted = CounterMetricFamily(
            "cryptocdc_simulator_accepted_connections", "WebSocket connections since the start.", labels=venue
        )
        frames = CounterMetricFamily(
            "cryptocdc_simulator_frames", "Frames of market data written to connections.", labels=venue
        )
        answers = CounterMetricFamily(
            "cryptocdc_simulator_answers", "Responses of the REST API.", labels=[*venue, "endpoint", "status"]
        )
        faults = CounterMetricFamily("cryptocdc_simulator_faults", "Faults that occurred.", labels=[*venue, "fault"])
        for name, served, rest, struck in self._venues:
            connections.add_metric([name], len(served.open))
            accepted.add_metric([name], served.accepted)
            frames.add_metric([name], served.frames)
            for (endpoint, status), count in rest.answers.items():
                answers.add_metric([name, endpoint, str(status)], count)
            for fault, count in struck.counts.items():
                faults.add_metric([name, fault], count)
        yield from (connections, accepted, frames, answers, faults)


def metrics_page(venues: Iterable[Counted]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Figures(venues))
    return generate_latest(registry)
