"""Malformed payloads of Binance, derived from valid ones."""

from __future__ import annotations

import json
from collections.abc import Callable

from cryptocdc_simulator.malformed import object_of

_HOUR_MS = 3_600_000


def _unknown_event(payload: str) -> str:
    return json.dumps({**object_of(payload), "e": "neverHeardOf"})


def _error_body(_: str) -> str:
    return json.dumps({"code": -1003, "msg": "Too many requests."})


def _future(payload: str) -> str:
    """Event and trade time an hour ahead."""
    event = object_of(payload)
    return json.dumps({**event, **{name: event[name] + _HOUR_MS for name in ("E", "T") if name in event}})


KINDS: dict[str, Callable[[str], str]] = {
    "unknown-event": _unknown_event,
    "error-body": _error_body,
    "future": _future,
}
