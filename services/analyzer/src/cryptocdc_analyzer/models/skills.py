"""The skill of each symbol's forecasts as a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Gauge

from cryptocdc_adapters.kafka.offsets import Partition


class Skills:
    """One value for each symbol and interval of the partitions that this program has."""

    def __init__(self, gauge: Gauge) -> None:
        """`gauge` has the labels symbol and interval."""
        self._gauge = gauge
        self._shown: dict[Partition, set[tuple[str, str]]] = {}

    def show(self, partition: Partition, rows: Iterable[Mapping[str, Any]]) -> None:
        """Show the skill in rows of `forecasts`. Those of completed windows may be corrections of the past."""
        for row in rows:
            if not row["completed"] and row["skill"] is not None:
                labels = row["symbol"], row["interval"]
                self._gauge.labels(*labels).set(float(row["skill"]))
                self._shown.setdefault(partition, set()).add(labels)

    def forget(self, partition: Partition) -> None:
        """Remove what is shown of a partition that another program takes over."""
        for labels in self._shown.pop(partition, ()):
            self._gauge.remove(*labels)
