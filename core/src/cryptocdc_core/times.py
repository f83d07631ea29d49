"""Times as people give them, to the command and to the API: ISO 8601, or seconds or milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cryptocdc_core.feed import FeedError

ACCEPTED = (
    "ISO 8601, such as 2026-11-21 or 2026-11-21T08:20:00Z (UTC where no zone is given), or a number since 1970:"
    " seconds with 10 digits, milliseconds with 13"
)
LATEST_MS = 253_370_764_800_000
"""The year 9999."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[0-9]+")
_SECONDS_DIGITS, _MILLISECONDS_DIGITS = 10, 13
"""Of every time from 2001 to 2286. A number of any other length may be meant either way."""


def parse(text: str) -> int:
    """Return a time in milliseconds since the epoch. Raise ValueError with what is accepted for any other text, and
    for a number of which nobody can tell whether it is seconds or milliseconds; 0 is both."""
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
    at_ms = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= at_ms < LATEST_MS:
        raise ValueError(f"{ACCEPTED}; from 1970 to 9998")
    return at_ms


def option(name: str, text: str) -> int:
    """Return the time that an option of the command gives, in milliseconds since the epoch. Raise FeedError."""
    try:
        return parse(text)
    except ValueError as error:
        raise FeedError([f"{name}: {text!r} is not accepted; accepted: {error}"]) from None
