"""The simulator's figures in Prometheus' text format, read from its counters when it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cryptocdc_simulator.connections import Connections
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.rest_endpoint import RestEndpoint


class _Figures(Collector):
    def __init__(self, connections: Connections, rest: RestEndpoint, faults: Faults) -> None:
        self._connections, self._rest, self._faults = connections, rest, faults

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "cryptocdc_simulator_connections", "Open WebSocket connections.", len(self._connections.open)
        )
        yield CounterMetricFamily(
            "cryptocdc_simulator_accepted_connections",
            "WebSocket connections since the start.",
            self._connections.accepted,
        )
        yield CounterMetricFamily(
            "cryptocdc_simulator_frames", "Frames of market data written to connections.", self._connections.frames
        )
        answers = CounterMetricFamily(
            "cryptocdc_simulator_answers", "Answers of the REST API.", labels=["endpoint", "status"]
        )
        for (endpoint, status), count in self._rest.answers.items():
            answers.add_metric([endpoint, str(status)], count)
        yield answers
        faults = CounterMetricFamily("cryptocdc_simulator_faults", "Faults that have struck.", labels=["fault"])
        for fault, count in self._faults.counts.items():
            faults.add_metric([fault], count)
        yield faults


def metrics_page(connections: Connections, rest: RestEndpoint, faults: Faults) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Figures(connections, rest, faults))
    return generate_latest(registry)
