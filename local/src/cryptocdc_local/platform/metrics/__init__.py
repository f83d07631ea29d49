"""The servers' own metrics for Prometheus, under the names that they have on Kubernetes."""

from __future__ import annotations

from cryptocdc_local.platform.metrics.lending import EVERY_S, ServerMetrics, lent

__all__ = ["EVERY_S", "ServerMetrics", "lent"]
