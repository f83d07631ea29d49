"""Cassandra's rows, read by the driver and formatted as the API should, by code independent of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cryptocdc_adapters.cassandra.sessions import connect
from cryptocdc_core.catalogue import Column
from cryptocdc_local.running.run import Run

Rows = list[dict[str, Any]]


class Written:
    def __init__(self, it: Run) -> None:
        self.keyspace = it.plan.names.keyspace
        self.cluster, self.session = connect(it.servers.cassandra)

    def rows(self, table: str, columns: tuple[Column, ...]) -> Rows:
        names = [column.name for column in columns]
        quoted = ", ".join(f'"{name}"' for name in names)
        found = self.session.execute(f'SELECT {quoted} FROM "{self.keyspace}"."{table}"')
        return [self._spelled(dict(zip(names, row, strict=True))) for row in found]

    def _spelled(self, row: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, datetime):
                moment = value.replace(tzinfo=UTC)
                made[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                made[f"{name}_ms"] = round(moment.timestamp() * 1000)
            elif isinstance(value, Decimal):
                made[name] = f"{value:f}"
            elif isinstance(value, list):
                made[name] = [f"{part:f}" for part in value]
            else:
                made[name] = value
        return made
