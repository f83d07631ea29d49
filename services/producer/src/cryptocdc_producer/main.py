"""The program `cryptocdc-producer`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from importlib.metadata import version

from cryptocdc_adapters.serving import Health, serve
from cryptocdc_core import feed as feeds
from cryptocdc_core import logs
from cryptocdc_core.feed import CryptoFeed, FeedError
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.settings import ProgramSettings, SettingsError
from cryptocdc_producer.producer import Producer

log = logging.getLogger("cryptocdc_producer")

PROGRESS_S = 60.0
"""A writer that has not got on for so long is unhealthy; an idle one gets on every second."""


def main() -> None:
    try:
        settings = ProgramSettings.from_env()
        feed = feeds.load(settings.feed)
        logs.configure(settings.log_format, settings.log_level)
        metrics = ProducerMetrics(version("cryptocdc-producer"))
        health = Health(PROGRESS_S)
        serve(metrics.registry, health, settings.metrics_host, settings.metrics_port)
    except (SettingsError, FeedError) as error:
        sys.exit(_told(error, 2))
    except OSError as error:
        sys.exit(_told(f"CRYPTOCDC_METRICS_PORT: {error}", 3))
    if feed.spec.suspend:
        _suspended(health)
        return
    try:
        asyncio.run(_produce(settings, feed, metrics, health))
    except SettingsError as error:
        sys.exit(_told(error, 2))
    except Exception:
        log.exception("the producer ends")
        sys.exit(3)


async def _produce(settings: ProgramSettings, feed: CryptoFeed, metrics: ProducerMetrics, health: Health) -> None:
    await Producer(settings, feed, metrics, health).run()


def _suspended(health: Health) -> None:
    """Nothing is captured; the program stays, so that who runs it need not know why."""
    log.info("the feed is suspended: nothing is captured")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    while not ending.wait(1.0):
        health.beat()


def _told(problem: object, code: int) -> int:
    print(problem, file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
