"""Refused requests, as the client sees them: the field, its value, what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptocdc_core.feed.problems import PATTERNS

SHOWN = 60
NAMED = 20


class Refused(Exception):
    """A request that gets a 4xx response. `field` is the parameter's name."""

    def __init__(self, field: str, value: object, accepted: str, status: int = 400) -> None:
        super().__init__(f"{field}: {value!r} is not accepted; accepted: {accepted}")
        self.field, self.value, self.accepted, self.status = field, value, accepted, status


class Unavailable(Exception):
    """A server that the request needs does not respond; the message says which. The response is 503."""


def error(field: str, value: object, accepted: str) -> dict[str, object]:
    """Return one entry of an error response's body."""
    text = value if isinstance(value, str) else str(value)
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return {
        "field": field, "value": shown, "accepted": accepted,
        "message": f"{field}: {shown!r} is not accepted; accepted: {accepted}",
    }  # fmt: skip


def choices(names: Iterable[str], near: str = "") -> str:
    """Return the accepted names, those similar to `near` first; after NAMED of them, how many more there are."""
    ordered = sorted(names)
    close = difflib.get_close_matches(near, ordered, n=3)
    ordered = [*close, *(name for name in ordered if name not in close)]
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more


def of_validation(details: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> list[dict[str, object]]:
    """Convert pydantic's errors about a query to ours; `parameters` are the names that the endpoint accepts."""
    return [_of(detail, parameters) for detail in details]


def _of(detail: Mapping[str, Any], parameters: Sequence[str]) -> dict[str, object]:
    field = str(detail["loc"][0])  # for a list, the index follows
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return {"field": field, "value": "", "accepted": "a value", "message": f"{field}: is missing; it is required"}
    if kind == "extra_forbidden":
        return error(field, detail["input"], f"the parameters {choices(parameters, field)}")
    says: dict[str, str] = {
        "literal_error": "{expected}",
        "value_error": "{error}",
        "string_pattern_mismatch": PATTERNS.get(context.get("pattern", ""), "a match of {pattern}"),
        "greater_than_equal": "{ge} or more",
        "less_than_equal": "{le} or less",
        "int_parsing": "a whole number",
        "bool_parsing": "true or false",
    }
    accepted = says[kind].format(**context) if kind in says else str(detail["msg"])
    return error(field, detail["input"], accepted)
