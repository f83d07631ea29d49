"""How much may be requested, and how a venue says to slow down or refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Limit:
    """So much of the cost of requests per `per_s` seconds and address. `by_clock`: the venue counts from one full
    `per_s` of the clock to the next; else it counts back from each request.
    """

    name: str
    amount: int
    per_s: float
    by_clock: bool = False


class Answer(NamedTuple):
    """An HTTP response. Names of headers are looked up whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SlowDown(NamedTuple):
    """No request is to be sent for so many seconds."""

    seconds: float


class Refusal(NamedTuple):
    """The venue understood and refuses: its own code (0 where it gives none) and its words ("" likewise).

    `unknown_symbol`: the market is not listed, or not any more; that is an answer, and no fault.
    """

    code: int | str
    message: str
    unknown_symbol: bool = False


class Limits(Protocol):
    def budgets(self) -> Sequence[Limit]:
        """Return the limits of requests before the venue says otherwise; the first one is the usual one."""

    def used(self, answer: Answer) -> Mapping[str, int]:
        """Return what the answer says is used of the limits, by name."""

    def verdict(self, answer: Answer) -> SlowDown | Refusal | None:
        """Return what to do about an answer that is not the requested data; None for data and for a fault (5xx)."""

    def credentials(self, api_key: str) -> Mapping[str, str]:
        """Return the headers that present an API key."""
