"""The program `cryptocdc-producer`."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version

from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import BadInput, Exit, refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import ProgramSettings
from cryptocdc_producer.producer import Producer

log = logging.getLogger("cryptocdc_producer")

PROGRESS_S = 60.0
"""A writer without progress for this long is unhealthy; an idle one makes progress every second."""


def main() -> None:
    with refusing_bad_input():
        settings = ProgramSettings.from_env()
        feed = feeds.load(settings.feed)
        logs.configure(settings.log_format, settings.log_level)
        metrics = ProducerMetrics(version("cryptocdc-producer"))
        health = Health(PROGRESS_S)
        serve_or_exit(metrics.registry, health, settings)
        if feed.spec.suspend:
            _suspended(health)
            return
        try:
            asyncio.run(_produce(settings, feed, metrics, health))
        except BadInput:
            raise
        except Exception:
            log.exception("the producer has failed")
            sys.exit(Exit.PLATFORM)


async def _produce(settings: ProgramSettings, feed: CryptoFeed, metrics: ProducerMetrics, health: Health) -> None:
    await Producer(settings, feed, metrics, health).run()


def _suspended(health: Health) -> None:
    """Capture nothing, but keep running, so that no supervisor restarts the program."""
    log.info("the feed is suspended: nothing is captured")
    stop = stop_event()
    while not stop.wait(1.0):
        health.beat()


if __name__ == "__main__":
    main()
