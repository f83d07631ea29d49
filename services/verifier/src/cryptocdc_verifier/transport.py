"""Publishes the state of slot and connector as metrics."""

from __future__ import annotations

import requests

from cryptocdc_adapters import slots
from cryptocdc_adapters.connect import Connect, ConnectError
from cryptocdc_core.metrics import VerifierMetrics
from cryptocdc_verifier.postgres import PostgresSide
from cryptocdc_verifier.target import Target


def publish(target: Target, postgres: PostgresSide, metrics: VerifierMetrics) -> None:
    """Set the metrics; if Connect does not answer, the connector counts as not running. Raises psycopg2.Error."""
    names = target.names
    slot = slots.read_with(postgres.connection, names.slot)
    metrics.slot_usable.labels(names.fid).set(slot is not None and slot.usable)
    metrics.slot_retained_bytes.labels(names.fid).set(slot.retained_bytes if slot is not None else 0)
    try:
        state = Connect(target.connect.url).state(names.connector)
    except (ConnectError, requests.RequestException):
        state = None
    metrics.connector_running.labels(names.fid).set(state is not None and state.running)
