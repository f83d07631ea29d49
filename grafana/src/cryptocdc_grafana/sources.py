"""The data sources of the dashboards, and a query in the form that each of them takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

VARIABLE = "datasource"
"""The dashboards' variable that names the data source."""


class Source(Enum):
    """Each value is (plugin id, name in titles and uids)."""

    CASSANDRA = ("hadesarchitect-cassandra-datasource", "Cassandra")
    API = ("yesoreyeram-infinity-datasource", "API")
    POSTGRES = ("grafana-postgresql-datasource", "PostgreSQL")
    PROMETHEUS = ("prometheus", "Prometheus")

    @property
    def plugin(self) -> str:
        return self.value[0]

    @property
    def label(self) -> str:
        return self.value[1]

    @property
    def ref(self) -> DataSourceRef:
        return DataSourceRef(type_val=self.plugin, uid=f"${{{VARIABLE}}}")


@dataclass
class Query(Dataquery):
    """A panel's target; `model` is what the plugin's editor would store."""

    source: Source
    model: Mapping[str, Any]
    ref_id: str = "A"

    def to_json(self) -> dict[str, Any]:
        ref = {"type": self.source.plugin, "uid": self.source.ref.uid}
        return {"refId": self.ref_id, "datasource": ref, **self.model}

    def build(self) -> Query:
        """Return itself: panels take builders."""
        return self


@dataclass(frozen=True)
class Cql:
    """A CQL statement. Its first column identifies the series; the others are numbers, times or text. Decimals must be
    cast, since the plugin can't read them. Rows of several partitions come in no particular order."""

    text: str

    @property
    def query(self) -> Query:
        return Query(Source.CASSANDRA, {"queryType": "query", "rawQuery": True, "target": self.text})


@dataclass(frozen=True)
class Sql:
    text: str

    @property
    def query(self) -> Query:
        model = {"format": "table", "rawQuery": True, "editorMode": "code", "rawSql": self.text}
        return Query(Source.POSTGRES, model)


@dataclass(frozen=True)
class Get:
    """An API path with its parameters; `columns` are (field of the response, name in the panel, its type)."""

    path: str
    params: tuple[tuple[str, str], ...]
    columns: Sequence[tuple[str, str, str]]

    @property
    def query(self) -> Query:
        model = {
            "type": "json",
            "source": "url",
            "parser": "backend",
            "format": "table",
            "url": self.path,
            "url_options": {"method": "GET", "params": [{"key": key, "value": value} for key, value in self.params]},
            "root_selector": "",
            "columns": [{"selector": field, "text": name, "type": kind} for field, name, kind in self.columns],
        }
        return Query(Source.API, model)


@dataclass(frozen=True)
class Promql:
    """An expression and the legend of its series."""

    expr: str
    legend: str = "__auto"
    instant: bool = False

    def query(self, ref_id: str) -> Query:
        model = {"expr": self.expr, "legendFormat": self.legend, "instant": self.instant, "range": not self.instant}
        return Query(Source.PROMETHEUS, model, ref_id)
