"""Metrics of programs that do not run beside the tests, served with something counted in each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from prometheus_client import start_http_server

from cryptocdc_core.program.file_metrics import ExporterMetrics
from cryptocdc_core.program.metrics import OperatorMetrics, ProgramMetrics
from tests.integration.api_client import free_port


def operator_metrics() -> OperatorMetrics:
    """The operator runs on Kubernetes only."""
    metrics = OperatorMetrics("test")
    metrics.reconciles.labels("panels", "done").inc()
    metrics.reconcile_seconds.observe(0.2)
    metrics.reconciled_at.labels("panels").set_to_current_time()
    metrics.condition.labels("panels", "Ready").set(1)
    metrics.connector_restarts.labels("panels").inc()
    metrics.snapshots.labels("panels").inc()
    return metrics


def exporter_metrics() -> ExporterMetrics:
    """An hour of the run would have to end and be proven before an exporter exports it."""
    metrics = ExporterMetrics("test")
    metrics.rows.labels("klines").inc()
    metrics.failures.labels("server").inc()
    metrics.left_out.labels("klines").set(0)
    metrics.through.labels("klines").set_to_current_time()
    metrics.progress.set_to_current_time()
    return metrics


@contextlib.contextmanager
def served(metrics: ProgramMetrics) -> Iterator[int]:
    """Serve them during the block, on the port that is returned."""
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", metrics.registry)
    yield port
    server.shutdown()
    server.server_close()
    thread.join()
