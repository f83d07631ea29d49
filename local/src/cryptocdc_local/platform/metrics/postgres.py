"""PostgreSQL's metrics, queried at each scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg2
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_local.platform.metrics.queries import all_queries
from cryptocdc_local.platform.settings import LOOPBACK

_OPTIONS = "SET default_transaction_read_only = on; SET statement_timeout = '5s'"


class Reading(Collector):
    """Uses one connection, and reconnects after it is lost. `cnpg_collector_up` says whether there is one."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._queries = all_queries()
        self._connection: psycopg2.extensions.connection | None = None
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._one_at_a_time:
            try:
                metrics = list(self._read())
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.close()
                metrics = []
        yield GaugeMetricFamily("cnpg_collector_up", "1 while PostgreSQL answers.", 1 if metrics else 0)
        yield from metrics

    def _read(self) -> Iterator[Metric]:
        if self._connection is None:
            self._connection = postgres.connect(self._settings, "metrics", autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(_OPTIONS)
        with self._connection.cursor() as cursor:
            for query in self._queries:
                cursor.execute(query.text)
                yield from query.metrics([column.name for column in cursor.description or ()], cursor.fetchall())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Exporter:
    """Serves them and those of `disk` on loopback until `close`. Raises OSError if the port is in use."""

    def __init__(self, settings: PostgresSettings, disk: Collector, port: int) -> None:
        self._reading = Reading(settings)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._reading)
        registry.register(disk)
        self._server, self._thread = start_http_server(port, LOOPBACK, registry)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._reading.close()
