"""PostgreSQL's metrics from queries in the format of CloudNativePG's exporter, with the same metric names.

A query's columns are labels or values; the metric is `cnpg_<query's name>_<column>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml
from prometheus_client import Metric

FILES = ("postgres.yaml", "slots.yaml")
PREFIX = "cnpg"
_KINDS = {"GAUGE": "gauge", "COUNTER": "unknown"}
"""Its counters lack the suffix `_total`, which prometheus_client requires of counters."""


@dataclass(frozen=True)
class Query:
    """`columns` maps the name of every column of the result to (usage, description)."""

    name: str
    text: str
    columns: Mapping[str, tuple[str, str]]

    def metrics(self, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Metric]:
        """Yield one metric per value column, with one sample per row whose value is not NULL."""
        found = [dict(zip(names, row, strict=True)) for row in rows]
        labels = [name for name, (usage, _) in self.columns.items() if usage == "LABEL"]
        for column, (usage, doc) in self.columns.items():
            if usage == "LABEL":
                continue
            metric = Metric(f"{PREFIX}_{self.name}_{column}", doc, _KINDS[usage])
            for row in found:
                if row[column] is not None:
                    values = {label: "" if row[label] is None else str(row[label]) for label in labels}
                    metric.add_sample(metric.name, values, float(row[column]))
            yield metric


def parse(text: str) -> list[Query]:
    """Return the queries in a YAML text. Raises ValueError for a usage or an option that is not supported."""
    return [_query(key, given) for key, given in yaml.safe_load(text).items()]


def _query(key: str, given: dict[str, Any]) -> Query:
    if unknown := given.keys() - {"name", "query", "metrics"}:
        raise ValueError(f"{key}: {', '.join(sorted(unknown))}; accepted: name, query, metrics")
    columns = {}
    for described in given["metrics"]:
        ((column, of),) = described.items()
        if of["usage"] not in ("LABEL", *_KINDS):
            raise ValueError(f"{key}.{column}: usage {of['usage']}; accepted: LABEL, {', '.join(_KINDS)}")
        columns[column] = (of["usage"], of["description"])
    return Query(given.get("name", key), given["query"], columns)


def all_queries() -> list[Query]:
    """Return CloudNativePG's own queries, as far as the dashboards use them, and those that we add."""
    folder = resources.files(__package__)
    return [query for name in FILES for query in parse((folder / name).read_text(encoding="utf-8"))]
