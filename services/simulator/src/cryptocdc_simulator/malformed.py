"""Frames and answers that no exchange should send, made from one that it did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_HOUR_MS = 3_600_000
_OVERSIZE = 5 * 1024 * 1024


def _invalid_json(payload: str) -> str:
    return payload[:-2]


def _unknown_event(payload: str) -> str:
    return json.dumps({**_object(payload), "e": "neverHeardOf"})


def _wrong_decimal(payload: str) -> str:
    """The first decimal of the payload becomes `1.2.3`."""
    return re.sub(r'"-?\d+\.\d+"', '"1.2.3"', payload, count=1)


def _oversize(payload: str) -> str:
    return json.dumps({**_object(payload), "padding": "x" * _OVERSIZE})


def _error_body(_: str) -> str:
    return json.dumps({"code": -1003, "msg": "Too many requests."})


def _future(payload: str) -> str:
    """Event and trade time an hour ahead."""
    event = _object(payload)
    return json.dumps({**event, **{name: event[name] + _HOUR_MS for name in ("E", "T") if name in event}})


def _object(payload: str) -> dict[str, int]:
    decoded = json.loads(payload)
    return decoded if isinstance(decoded, dict) else {"e": decoded}


KINDS: dict[str, Callable[[str], str]] = {
    "invalid-json": _invalid_json,
    "unknown-event": _unknown_event,
    "wrong-decimal": _wrong_decimal,
    "oversize": _oversize,
    "error-body": _error_body,
    "future": _future,
}
"""By kind: the malformed payload made from a sound one (without the wrapping of a combined stream)."""
ANSWERS = ("invalid-json", "wrong-decimal", "oversize", "error-body")
"""Of these the kinds that a REST answer can be; error-body is then what comes with status 400."""
