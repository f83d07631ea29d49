"""Describes exceptions so that a person can act on them. Pure."""

from __future__ import annotations

import json

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

API_SERVER_AWAY = HTTPError
"""Raised by the API server's client when it can't be reached."""


def describe(error: BaseException) -> str:
    """Return a description of an exception, with the API server's message if it sent one."""
    match error:
        case ApiException():
            return f"the API server answers {error.status} {error.reason or ''}: {_message(error)}"
        case HTTPError():
            return f"the API server can't be reached: {error}"
    return f"{type(error).__name__}: {error}"


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or b"")["message"])
    except (ValueError, TypeError, KeyError):
        body: str | bytes = error.body or "no reason given"
        return body.decode(errors="replace") if isinstance(body, bytes) else body
