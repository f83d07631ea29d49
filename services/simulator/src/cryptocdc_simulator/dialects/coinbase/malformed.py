"""Malformed payloads of Coinbase Exchange, derived from valid ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptocdc_simulator.malformed import object_of

_HOUR = timedelta(hours=1)


def _unknown_event(payload: str) -> str:
    return json.dumps({**object_of(payload), "type": "never_heard_of"})


def _error_body(payload: str) -> str:
    if "type" in object_of(payload):
        return json.dumps({"type": "error", "message": "Failed to subscribe", "reason": "rate limit"})
    return json.dumps({"message": "Bad request"})


def _future(payload: str) -> str:
    """Times an hour ahead."""
    event = object_of(payload)
    if "time" not in event:
        return payload
    at = datetime.fromisoformat(event["time"]) + _HOUR
    return json.dumps({**event, "time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})


KINDS: dict[str, Callable[[str], str]] = {
    "unknown-event": _unknown_event,
    "error-body": _error_body,
    "future": _future,
}
