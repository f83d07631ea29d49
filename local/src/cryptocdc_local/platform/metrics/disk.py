"""Metrics of the disk with the servers' data, with the names of the kubelet's volume metrics."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CLAIM = "cryptocdc-home"
"""On Kubernetes each server has its own volumes; here there is one disk, named after the home folder."""


class Disk(Collector):
    def __init__(self, home: Path) -> None:
        self._home = home

    def collect(self) -> Iterator[Metric]:
        disk = shutil.disk_usage(self._home)
        for name, doc, value in (
            ("available", "Bytes available to users other than root.", disk.free),
            ("capacity", "Size of the disk in bytes.", disk.total),
        ):
            metric = GaugeMetricFamily(f"kubelet_volume_stats_{name}_bytes", doc, labels=["persistentvolumeclaim"])
            metric.add_metric([CLAIM], value)
            yield metric
