"""Proves one feed until stopped, and reconnects to everything after a failure."""

from __future__ import annotations

import logging
import threading
import time

from cryptocdc_adapters.serving import Health
from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_verifier.cassandra import CassandraSide
from cryptocdc_verifier.continuous import Continuous
from cryptocdc_verifier.delivery import Clock, ComputedDelivery, delivery_of
from cryptocdc_verifier.proving_computed import ComputedProof
from cryptocdc_verifier.retention import Retention
from cryptocdc_verifier.target import Target, VerifyError
from cryptocdc_verifier.transport import publish
from cryptocdc_verifier.verify import sides

log = logging.getLogger("cryptocdc.verifier")

PAUSE_S = 20.0
"""Between two passes: with the minute and its grace period, the proof trails by one to two minutes."""
RETENTION_S = 600.0
COMPUTED_STALLED_S = 20.0
_AGAIN_S = 5.0


def prove(target: Target, stop: threading.Event, metrics: VerifierMetrics, health: Health, rows_per_s: int) -> None:
    """Prove `target` and enforce PostgreSQL's retention until `stop` is set."""
    while not stop.is_set():
        try:
            _connected(target, stop, metrics, health, rows_per_s)
        except VerifyError as error:
            if stop.is_set():
                break
            # Servers restart and connectors fail: reconnect to everything.
            log.warning("%s: %s", target.names.fid, error)
            stop.wait(_AGAIN_S)


def _connected(
    target: Target, stop: threading.Event, metrics: VerifierMetrics, health: Health, rows_per_s: int
) -> None:
    with sides(target) as (postgres, cassandra):
        delivery = delivery_of(target, postgres, clock=Clock(sleep=lambda seconds: _sleep(stop, seconds)))
        continuous = Continuous(target, postgres, cassandra, delivery, metrics, health, stop, rows_per_s)
        retention = Retention(target, postgres, metrics)
        computed = _computed(target, cassandra, stop, metrics, rows_per_s) if target.computed else None
        next_retention = time.monotonic()
        while not stop.is_set():
            # First, since proving waits while the pipeline is stalled, which is when these metrics are needed.
            publish(target, postgres, metrics)
            continuous.prove()
            if time.monotonic() >= next_retention:
                retention.drop_old()
                next_retention = time.monotonic() + RETENTION_S
            if computed is not None:
                _prove_computed(computed, target, stop)
            stop.wait(PAUSE_S)


def _computed(
    target: Target, cassandra: CassandraSide, stop: threading.Event, metrics: VerifierMetrics, rows_per_s: int
) -> ComputedProof:
    clock = Clock(sleep=lambda seconds: _sleep(stop, seconds))
    delivery = ComputedDelivery(target, COMPUTED_STALLED_S, clock)
    return ComputedProof(target, cassandra, delivery.wait, metrics, stop, rows_per_s)


def _prove_computed(computed: ComputedProof, target: Target, stop: threading.Event) -> None:
    """Run a pass, last and on its own: an analyzer that does not run must not delay the proofs of captured rows."""
    try:
        computed.prove()
    except VerifyError as error:
        if not stop.is_set():
            log.warning("%s: computed tables are not proven: %s", target.names.fid, error)


def _sleep(stop: threading.Event, seconds: float) -> None:
    """Sleep, and raise VerifyError if `stop` is set, so that waiting for the pipeline ends."""
    if stop.wait(seconds):
        raise VerifyError("stopped")
