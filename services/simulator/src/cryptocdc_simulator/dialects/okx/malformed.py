"""Payloads that OKX should not send, made from one that it did."""

from __future__ import annotations

import json
from collections.abc import Callable

from cryptocdc_simulator.malformed import object_of

_HOUR_MS = 3_600_000


def _unknown_event(payload: str) -> str:
    frame = object_of(payload)
    return json.dumps({**frame, "arg": {**frame.get("arg", {}), "channel": "never-heard-of"}})


def _error_body(payload: str) -> str:
    if "arg" in object_of(payload):
        return json.dumps({"event": "error", "code": "60012", "msg": "Invalid request: ", "connId": "00000000"})
    return json.dumps({"code": "50000", "msg": "Body for POST request cannot be empty.", "data": []})


def _future(payload: str) -> str:
    """Times an hour ahead."""
    frame = object_of(payload)
    rows = [{**row, "ts": str(int(row["ts"]) + _HOUR_MS)} if "ts" in row else row for row in frame["data"]]
    return json.dumps({**frame, "data": rows})


KINDS: dict[str, Callable[[str], str]] = {
    "unknown-event": _unknown_event,
    "error-body": _error_body,
    "future": _future,
}
