"""Proves one feed until stopped, and reconnects to everything after a failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_verifier.continuous.captured import Continuous
from cryptocdc_verifier.continuous.computed import ComputedProof
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.delivery.stalls import Clock
from cryptocdc_verifier.delivery.waiting import ComputedDelivery, delivery_of
from cryptocdc_verifier.repair.continuous import hourly_limit
from cryptocdc_verifier.repair.decision import Grant
from cryptocdc_verifier.retention import Retention
from cryptocdc_verifier.target import Target, VerifyError
from cryptocdc_verifier.transport import Transport
from cryptocdc_verifier.verify import sides

log = logging.getLogger("cryptocdc.verifier")

PAUSE_S = 20.0
"""Between two passes: with the minute and its grace period, the proof trails by one to two minutes."""
RETENTION_S = 600.0
_AGAIN_S = 5.0


def prove(target: Target, stop: threading.Event, metrics: VerifierMetrics, health: Health, rows_per_s: int) -> None:
    """Prove `target` and enforce PostgreSQL's retention until `stop` is set, which also happens if that fails.

    Computed tables are proven in a thread and through connections of their own: an analyzer that does not run or has
    a backlog must not delay the proofs of captured rows.
    """
    with ThreadPoolExecutor(1, "computed") as pool:
        computed = None
        if target.computed:
            computed = pool.submit(_reconnecting, target, stop, partial(_computed, target, stop, metrics, rows_per_s))
            computed.add_done_callback(lambda _: stop.set())
        repairs = hourly_limit(target.feed.spec.repair)
        try:
            _reconnecting(target, stop, partial(_captured, target, stop, metrics, health, rows_per_s, repairs))
        finally:
            stop.set()
    if computed is not None:
        computed.result()


def _reconnecting(target: Target, stop: threading.Event, connected: Callable[[], None]) -> None:
    while not stop.is_set():
        try:
            connected()
        except VerifyError as error:
            if stop.is_set():
                break
            # Servers restart and connectors fail: reconnect to everything.
            log.warning("%s: %s", target.names.fid, error)
            stop.wait(_AGAIN_S)


def _captured(
    target: Target, stop: threading.Event, metrics: VerifierMetrics, health: Health, rows_per_s: int, repairs: Grant
) -> None:
    with sides(target) as (postgres, cassandra):
        delivery = delivery_of(target, postgres, clock=_clock(stop))
        continuous = Continuous(target, postgres, cassandra, delivery, metrics, health, stop, rows_per_s, repairs)
        transport = Transport(target, postgres, metrics)
        retention = Retention(target, postgres, metrics)
        next_retention = time.monotonic()
        while not stop.is_set():
            # First, since proving waits while the pipeline is stalled, which is when these metrics are needed.
            transport.publish()
            continuous.prove()
            if time.monotonic() >= next_retention:
                retention.drop_old()
                next_retention = time.monotonic() + RETENTION_S
            stop.wait(PAUSE_S)


def _computed(target: Target, stop: threading.Event, metrics: VerifierMetrics, rows_per_s: int) -> None:
    with sides(target) as (postgres, cassandra):
        captured = delivery_of(target, postgres, clock=_clock(stop))
        computed = ComputedDelivery(target, clock=_clock(stop))

        def wait() -> None:
            # Rows that PostgreSQL has but Kafka has not would be found neither in the source nor in the table.
            captured.wait(0)
            computed.wait()

        proof = ComputedProof(
            target, Proofs(postgres.connection, target.names), cassandra, wait, metrics, stop, rows_per_s
        )
        while not stop.is_set():
            proof.prove()
            stop.wait(PAUSE_S)


def _clock(stop: threading.Event) -> Clock:
    return Clock(sleep=lambda seconds: _sleep(stop, seconds))


def _sleep(stop: threading.Event, seconds: float) -> None:
    """Sleep, and raise VerifyError if `stop` is set, so that waiting for the pipeline ends."""
    if stop.wait(seconds):
        raise VerifyError("stopped")
