"""Frames and answers that no exchange should send, made from one that it did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_OVERSIZE = 5 * 1024 * 1024


def _invalid_json(payload: str) -> str:
    return payload[:-2]


def _wrong_decimal(payload: str) -> str:
    """The first decimal of the payload becomes `1.2.3`."""
    return re.sub(r'"-?\d+\.\d+"', '"1.2.3"', payload, count=1)


def _oversize(payload: str) -> str:
    return json.dumps({**object_of(payload), "padding": "x" * _OVERSIZE})


def object_of(payload: str) -> dict[str, Any]:
    """A payload as an object; another JSON value as that of the field `e`."""
    decoded = json.loads(payload)
    return decoded if isinstance(decoded, dict) else {"e": decoded}


KINDS: dict[str, Callable[[str], str]] = {
    "invalid-json": _invalid_json,
    "wrong-decimal": _wrong_decimal,
    "oversize": _oversize,
}
"""By kind: the malformed payload made from a sound one of any venue (without the wrapping of a combined stream)."""
VENUE_KINDS = ("unknown-event", "error-body", "future")
"""Those that each dialect makes in its own words."""
ANSWERS = (*KINDS, "error-body")
"""Of these the kinds that a REST answer can be; error-body is then what comes with status 400."""
