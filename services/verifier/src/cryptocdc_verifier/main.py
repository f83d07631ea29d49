"""The verifier: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging
import threading
from importlib.metadata import version

from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import SOURCE, CryptoFeed
from cryptocdc_core.names import SUFFIXES, Source, source_of
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.program.settings import (
    CassandraSettings,
    ConnectSettings,
    KafkaSettings,
    PostgresSettings,
    ProvingSettings,
    SettingsError,
    VerifierSettings,
)
from cryptocdc_verifier.feeds import FeedsFolder
from cryptocdc_verifier.proving import prove
from cryptocdc_verifier.target import Target

log = logging.getLogger("cryptocdc.verifier")

HEALTHY_FOR_S = 300
FOLLOW_S = 5.0


def main() -> None:
    with refusing_bad_input():
        settings = ProvingSettings.from_env()
        pace = VerifierSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        one = _only(settings)
    stop = stop_event()
    metrics = VerifierMetrics(version("cryptocdc-verifier"))
    health = Health(HEALTHY_FOR_S)
    server = serve_or_exit(metrics.registry, health, settings)
    if settings.feeds is not None:
        _prove_all(settings, metrics, health, stop, pace.rows_per_s)
    elif one is not None:
        prove(one, stop, metrics, health, pace.rows_per_s)
    server.shutdown()


def _only(settings: ProvingSettings) -> Target | None:
    """Return the single feed to prove; None if a folder is configured. Raises SettingsError, FeedError."""
    if settings.feeds is not None:
        for server in (PostgresSettings, KafkaSettings, CassandraSettings, ConnectSettings):
            server.from_env()
        return None
    if settings.feed is None:
        raise SettingsError(f"{settings.variable('feed')}: must be set, or {settings.variable('feeds')}")
    return Target.from_env(feeds.load(settings.feed), settings.source)


def _source(feed: CryptoFeed) -> Source:
    """Return the source that the operator has recorded, else what the feed's exchange means."""
    recorded = (feed.metadata.annotations or {}).get(SOURCE)
    return next((source for source in SUFFIXES if source == recorded), source_of(feed.spec.exchange))


def _prove_all(
    settings: ProvingSettings, metrics: VerifierMetrics, health: Health, stop: threading.Event, rows_per_s: int
) -> None:
    """Prove all feeds of the folder. A feed that can't be proven must not cause a restart that affects the others: its
    metrics show it, and the health check only verifies that every feed has a running thread."""

    def prove_one(feed: CryptoFeed, ended: threading.Event) -> None:
        target = Target.from_env(feed, _source(feed))
        try:
            prove(target, ended, metrics, Health(HEALTHY_FOR_S), rows_per_s)
        finally:
            metrics.remove_feed(target.names.fid)

    assert settings.feeds is not None
    folder = FeedsFolder(settings.feeds, prove_one)
    while not stop.is_set():
        folder.follow()
        problem = folder.problem()
        if problem is None:
            health.beat()
        else:
            health.halt(problem)
        stop.wait(FOLLOW_S)
    folder.end()


if __name__ == "__main__":
    main()
