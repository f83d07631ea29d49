"""Durations in feeds: a whole number with a unit, such as "60s", "15m", "2d"."""

from __future__ import annotations

import re

UNITS_S: dict[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
PATTERN = r"^[1-9][0-9]{0,5}[smhdw]$"


def seconds(text: str) -> int:
    """Return the duration in seconds. Raises ValueError unless `text` matches PATTERN."""
    if not re.fullmatch(PATTERN.removesuffix("$"), text):
        raise ValueError(
            f"{text!r} is not a duration: a whole number with a unit is accepted, such as 60s, 15m, 12h, 2d"
        )
    return int(text[:-1]) * UNITS_S[text[-1]]


def milliseconds(text: str) -> int:
    """Return the duration in milliseconds, of "100ms" too. Raises ValueError as `seconds` does."""
    if re.fullmatch(r"[1-9][0-9]{0,5}ms", text):
        return int(text[:-2])
    return seconds(text) * 1000
