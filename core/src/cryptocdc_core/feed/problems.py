"""Turns pydantic's errors about a feed into messages for users."""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from cryptocdc_core import base_urls
from cryptocdc_core.feed import analytics, export, history, symbols
from cryptocdc_core.feed.base import REFERENCE
from cryptocdc_core.time import durations


def shown(value: object) -> str:
    """Return the value's repr for an error message, truncated to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def problem(detail: ErrorDetails, document: type[BaseModel]) -> str:
    """Return one line for one of pydantic's errors in a `document`: the field, the value, what is accepted."""
    path = ""
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    path = path or "feed"
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "missing":
        return f"{path}: is missing; it is required"
    if kind == "extra_forbidden":
        field = str(detail["loc"][-1])
        near = difflib.get_close_matches(field, _fields_at(document, detail["loc"][:-1]), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{path}: no such field; accepted: {', '.join(_fields_at(document, detail['loc'][:-1]))}{hint}"
    if kind == "value_error":
        return f"{path}: {shown(detail['input'])}: {context['error']}"
    accepted = {
        "literal_error": lambda: str(context["expected"]),
        "string_pattern_mismatch": lambda: PATTERNS.get(str(context["pattern"]), f"a match of {context['pattern']}"),
        "greater_than_equal": lambda: f"{_bound(context['ge'])} or more",
        "less_than_equal": lambda: f"{_bound(context['le'])} or less",
        "too_short": lambda: f"{context['min_length']} or more entries",
        "model_type": lambda: f"a mapping with {', '.join(_fields_at(document, detail['loc']))}",
        "too_long": lambda: f"at most {context['max_length']} entries",
    }.get(kind, lambda: detail["msg"].removeprefix("Input should be ").removeprefix("a valid "))()
    return f"{path}: {shown(detail['input'])} is not accepted; accepted: {accepted}"


PATTERNS = {
    durations.PATTERN: "a whole number with a unit, such as 60s, 15m, 12h, 2d",
    analytics.LENGTH_PATTERN: analytics.LENGTH_WORDS,
    rf"^0s$|{durations.PATTERN}": "a whole number with a unit, such as 30m, 24h, 2d, or 0s for nothing",
    history.BEGIN: "a month such as 2026-01, or a day such as 2026-01-31",
    export.STREAM: "the name of a stream",
    export.URI: "s3://BUCKET/PATH, or an absolute path, of letters, digits and ._=-",
    export.ENDPOINT: "a URL of scheme, host and port, such as http://minio:9000",
    rf"^keep$|{durations.PATTERN}": "keep, or a whole number with a unit, such as 12h, 2d, 90d",
    r"^[a-z][a-z0-9-]{0,29}$": "1 to 30 of a-z, 0-9 and -, the first a letter",
    symbols.PATTERN: symbols.WORDS,
    symbols.ASSET_PATTERN: "an asset in capitals, such as USDT",
    REFERENCE: "module:function, such as transform:without_dust",
    base_urls.REST: "a base URL that begins with http:// or https://, such as https://api.binance.com",
    r"^https?://[^\s/?#]+[^\s]*$": "a URL that begins with http:// or https://",
    base_urls.WEBSOCKET: "a base URL that begins with ws:// or wss://, such as wss://stream.binance.com:9443",
}


def _bound(limit: object) -> str:
    """Return a bound as a person would write it: pydantic gives that of a decimal as a Python expression."""
    text = str(limit)
    if not text.startswith("Decimal"):
        return text
    return format(Decimal(text.removeprefix("Decimal('").removesuffix("')")), "f")


def _fields_at(document: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the documented names of the fields of the model at `loc`."""
    model: Any = document
    for part in loc:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                options = [field.annotation, *getattr(field.annotation, "__args__", ())]
                model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]
