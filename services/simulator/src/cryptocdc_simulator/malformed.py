"""Malformed frames and responses, derived from valid ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_OVERSIZE = 5 * 1024 * 1024


def _invalid_json(payload: str) -> str:
    return payload[:-2]


def _wrong_decimal(payload: str) -> str:
    """Replace the first decimal of the payload by `1.2.3`."""
    return re.sub(r'"-?\d+\.\d+"', '"1.2.3"', payload, count=1)


def _oversize(payload: str) -> str:
    return json.dumps({**object_of(payload), "padding": "x" * _OVERSIZE})


def object_of(payload: str) -> dict[str, Any]:
    """Return a payload as an object; any other JSON value as the value of the field `e`."""
    decoded = json.loads(payload)
    return decoded if isinstance(decoded, dict) else {"e": decoded}


KINDS: dict[str, Callable[[str], str]] = {
    "invalid-json": _invalid_json,
    "wrong-decimal": _wrong_decimal,
    "oversize": _oversize,
}
"""By kind: the function that makes a malformed payload of a valid one, for any venue (without the wrapper of a combined
stream)."""
VENUE_KINDS = ("unknown-event", "error-body", "future")
"""Kinds that each dialect implements in its own format."""
ANSWERS = (*KINDS, "error-body")
"""The kinds that apply to REST responses; error-body then has status 400."""
