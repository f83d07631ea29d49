"""The servers' own metrics for Prometheus, with the same names as on Kubernetes."""

from __future__ import annotations

from cryptocdc_local.platform.metrics.exporters import EVERY_S, ServerMetrics, metrics_served

__all__ = ["EVERY_S", "ServerMetrics", "metrics_served"]
