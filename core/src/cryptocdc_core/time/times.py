"""Times: as people give them to the command and to the API, and as every answer formats them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from cryptocdc_core.program.exits import BadInput

ACCEPTED = (
    "ISO 8601, such as 2026-11-21 or 2026-11-21T08:20:00Z (UTC where no zone is given), or a number since 1970:"
    " seconds with 10 digits, milliseconds with 13"
)
LATEST_MS = 253_370_764_800_000
"""The year 9999."""

_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_NUMBER = re.compile(r"[0-9]+")
_MONTH = re.compile(r"\d{4}-\d{2}")
_SECONDS_DIGITS, _MILLISECONDS_DIGITS = 10, 13
"""True of every time from 2001 to 2286. A number with another length could mean either."""


def now_ms() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def millis(at: datetime) -> int:
    """Return milliseconds since the epoch of a time in UTC without zone, as the drivers of both databases give it."""
    return (at - _EPOCH) // _MILLISECOND


def iso(at_ms: int) -> str:
    """Format milliseconds since the epoch, such as 2026-11-21T08:20:00.000Z."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()[:19]}.{at_ms % 1000:03d}Z"


def iso_us(at_us: int) -> str:
    """Format microseconds since the epoch as `iso` does, with three more digits unless they are zero."""
    at_ms, micros = divmod(at_us, 1000)
    return f"{iso(at_ms)[:-1]}{micros:03d}Z" if micros else iso(at_ms)


def parse(text: str) -> int:
    """Return a time in milliseconds since the epoch. Raise ValueError with what is accepted for any other text, and for
    a number that could be either seconds or milliseconds; 0 is both."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        if len(text) == _MILLISECONDS_DIGITS:
            return int(text)
        if len(text) == _SECONDS_DIGITS:
            return int(text) * 1000
        if text == "0":
            return 0
        raise ValueError(ACCEPTED)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(ACCEPTED) from None
    at_ms = millis(at.replace(tzinfo=None)) - (at.utcoffset() or timedelta()) // _MILLISECOND
    if not 0 <= at_ms < LATEST_MS:
        raise ValueError(f"{ACCEPTED}; from 1970 to 9998")
    return at_ms


def option(name: str, text: str) -> int:
    """Return the time that an option of the command gives, in milliseconds since the epoch. Raise BadInput."""
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{name}: {text!r} is not accepted; accepted: {error}") from None


def month_or_time(name: str, text: str) -> int:
    """As `option`; a month such as 2024-01 means its beginning, too."""
    return option(name, f"{text.strip()}-01" if _MONTH.fullmatch(text.strip()) else text)
