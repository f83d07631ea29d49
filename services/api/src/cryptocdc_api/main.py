"""The API: reads the settings, wires everything, and serves until stopped."""

from __future__ import annotations

import signal
import socket
import sys
from importlib.metadata import version

import uvicorn

from cryptocdc_adapters.kafka.records import Records
from cryptocdc_adapters.metrics.readings import Readings
from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_api.app import build_app
from cryptocdc_api.background import Background
from cryptocdc_api.context import Context
from cryptocdc_api.live.changes import Changes
from cryptocdc_api.live.subscriptions import Subscriptions
from cryptocdc_api.reading.reader import Reader
from cryptocdc_api.reading.shared import Shared
from cryptocdc_api.reading.tables import BOOK_SUMS, HEATMAP_TABLE, TABLES
from cryptocdc_core.catalogue import HEATMAP, NEWEST
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names, identity
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import Exit, fail, refusing_bad_input
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import ApiSettings, CassandraSettings, KafkaSettings, ProgramSettings

HEALTHY_FOR_S = 120
"""Longer than it takes to find that none of several Cassandra nodes answers: ten seconds each."""
BACKLOG = 2048
VERSION = version("cryptocdc-api")


def main() -> None:
    with refusing_bad_input():
        settings, own = ProgramSettings.from_env(), ApiSettings.from_env()
        kafka, cassandra = KafkaSettings.from_env(), CassandraSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
    metrics, health = ApiMetrics(VERSION), Health(HEALTHY_FOR_S)
    port = _listen(own)
    server = serve_or_exit(metrics.registry, health, settings)
    try:
        _serve(feed, settings, own, kafka, cassandra, metrics, health, port)
    finally:
        server.shutdown()


def _listen(own: ApiSettings) -> socket.socket:
    """Return the API's socket; exit when the port is taken."""
    family = socket.AF_INET6 if ":" in own.host else socket.AF_INET
    try:
        return socket.create_server((own.host, own.port), family=family, backlog=BACKLOG)
    except OSError as error:
        fail(f"{own.variable('port')}: {own.port}: {error}", Exit.PLATFORM)


def _serve(
    feed: CryptoFeed, settings: ProgramSettings, own: ApiSettings, kafka: KafkaSettings, cassandra: CassandraSettings,
    metrics: ApiMetrics, health: Health, port: socket.socket,
) -> None:  # fmt: skip
    names, captured = Names(identity(feed.name, settings.source)), streams_of(feed)
    streams = (*captured, *feed.spec.computed)
    served = {stream.table for stream in streams}
    tables = [TABLES[table] for table in sorted(served)] + [HEATMAP_TABLE] * (HEATMAP.source in served)
    tables += [BOOK_SUMS] * (ORDER_BOOK.table in served)
    whole = [derived for table, derived in NEWEST.items() if table in served]
    reader = Reader(cassandra, names.keyspace, tables, whole, metrics)
    shared = Shared(own.redis_url, f"cryptocdc:{VERSION}:{names.fid}", metrics) if own.redis_url else None
    context = Context(feed, settings.source, reader, metrics, shared)
    changes = Changes(kafka, {names.change_topic(stream.table): stream for stream in streams}, metrics)
    # Cassandra can be read without Kafka, so Kafka affects readiness of the live rows but not `/health`.
    health.ready_when(changes.obstacle)
    subscriptions = Subscriptions(changes.want)
    background = Background(reader, changes, subscriptions, shared, metrics, health)
    readings = Readings(own.targets, kafka, names, [stream.table for stream in captured], feed.spec.sink.engine)
    records = Records(kafka, names)
    app = build_app(context, own, readings, subscriptions, records, background.running)
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=3, ws_ping_interval=20,
        ws_ping_timeout=20, ws_per_message_deflate=False, server_header=False,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        # Uvicorn raises the signal again once it has ended.
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        uvicorn.Server(config).run([port])
    finally:
        records.close()


if __name__ == "__main__":
    main()
