"""The verifier as a program: settings in, everything wired, run until told to stop."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from importlib.metadata import version

from cryptocdc_adapters.serving import Health, serve
from cryptocdc_core import feed as feeds
from cryptocdc_core import logs
from cryptocdc_core.feed import FeedError
from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_core.settings import ProgramSettings, SettingsError, VerifierSettings
from cryptocdc_verifier.continuous import Continuous
from cryptocdc_verifier.pipeline import Clock, pipeline_of
from cryptocdc_verifier.retention import Retention
from cryptocdc_verifier.target import Target, VerifyError
from cryptocdc_verifier.verify import sides

log = logging.getLogger("cryptocdc.verifier")

HEALTHY_FOR_S = 300
PAUSE_S = 20.0
"""Between two passes: with the minute and its grace, what is proven trails by one to two minutes."""
RETENTION_S = 600.0
_AGAIN_S = 5.0
_BAD_INPUT, _PLATFORM = 2, 3


def main() -> None:
    try:
        settings = ProgramSettings.from_env()
        pace = VerifierSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        target = Target.from_env(feeds.load(settings.feed), settings.source)
    except (SettingsError, FeedError) as error:
        print(error, file=sys.stderr)
        sys.exit(_BAD_INPUT)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = VerifierMetrics(version("cryptocdc-verifier"))
    health = Health(HEALTHY_FOR_S)
    try:
        server = serve(metrics.registry, health, settings.metrics_host, settings.metrics_port)
    except OSError as error:
        print(f"CRYPTOCDC_METRICS_PORT: {settings.metrics_port}: {error}", file=sys.stderr)
        sys.exit(_PLATFORM)
    while not stop.is_set():
        try:
            _prove(target, metrics, health, stop, pace.rows_per_s)
        except VerifyError as error:
            if stop.is_set():
                break
            # Servers restart and connectors fail; whatever it was, all is connected anew.
            log.warning("%s", error)
            stop.wait(_AGAIN_S)
    server.shutdown()


def _prove(target: Target, metrics: VerifierMetrics, health: Health, stop: threading.Event, rows_per_s: int) -> None:
    with sides(target) as (postgres, cassandra):
        pipeline = pipeline_of(target, postgres, clock=Clock(sleep=lambda seconds: _sleep(stop, seconds)))
        continuous = Continuous(target, postgres, cassandra, pipeline, metrics, health, stop, rows_per_s)
        retention = Retention(target, postgres, metrics)
        next_retention = time.monotonic()
        while not stop.is_set():
            continuous.prove()
            if time.monotonic() >= next_retention:
                retention.drop_old()
                next_retention = time.monotonic() + RETENTION_S
            stop.wait(PAUSE_S)


def _sleep(stop: threading.Event, seconds: float) -> None:
    """Waiting for the pipeline ends when we are told to stop."""
    if stop.wait(seconds):
        raise VerifyError("told to stop")


if __name__ == "__main__":
    main()
