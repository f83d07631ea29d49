"""Validation of everything that a venue sends, over WebSocket or REST."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""The range of PostgreSQL's bigint."""
IdOrNone = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
"""An id, or -1 where a venue uses that for none."""
Time = Annotated[int, Meta(ge=1, le=2**53)]
"""Milliseconds since the epoch. Without a plausible lower bound, since captures are replayed years later."""

T = TypeVar("T")

# One match for all decimals of a frame is several times as fast as one for each. Digits are bounded as in core.
_AMOUNTS = re.compile(r"(?:\d{1,200}(?:\.\d{1,200})?,)*\Z", re.ASCII)
_SIGNED = re.compile(r"(?:-?\d{1,200}(?:\.\d{1,200})?,)*\Z", re.ASCII)


class Rejected(ValueError):
    """A refused frame, or refused row of a response. `reason` is one of a few words, suitable as a label."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


def amounts(texts: Sequence[str]) -> None:
    """Check prices and quantities: plain decimals that are not negative. Raises Rejected."""
    _check(texts, _AMOUNTS)


def signed(texts: Sequence[str]) -> None:
    """Check plain decimals of either sign. Raises Rejected."""
    _check(texts, _SIGNED)


def _check(texts: Sequence[str], pattern: re.Pattern[str]) -> None:
    joined = "".join([f"{text}," for text in texts])
    # A comma in a text would turn it into two decimals.
    if pattern.match(joined) is None or joined.count(",") != len(texts):
        wrong = next(text for text in texts if "," in text or not pattern.match(f"{text},"))
        raise Rejected("wrong-decimal", f"{wrong[:40]!r} is not a decimal; accepted: digits such as 0.00012300")


def fingerprint(*reported: object) -> int:
    """Return an id for a report that has none: a hash of its values, the same for every producer. It is a whole number
    that JavaScript represents exactly."""
    text = "\0".join(map(str, reported)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:6])


def not_future(time_ms: int, now_ms: int) -> None:
    """Refuse an event too far ahead of our clock: its version would win forever. Raises Rejected."""
    if time_ms > now_ms + FUTURE_TOLERANCE_MS:
        ahead, accepted = (time_ms - now_ms) // 1000, FUTURE_TOLERANCE_MS // 1000
        raise Rejected("future", f"dated {ahead} s ahead; {accepted} s are accepted")


def decoded(body: bytes, kind: type[T]) -> T:
    """Return a JSON document as this type. Raises Rejected: `invalid-json` or `wrong-field`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        try:
            msgspec.json.decode(body)  # a wrong type is reported before the end is reached
        except (msgspec.MsgspecError, UnicodeDecodeError) as invalid:
            raise Rejected("invalid-json", str(invalid)) from None
        raise Rejected("wrong-field", str(error)) from None
