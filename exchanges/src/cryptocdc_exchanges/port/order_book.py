"""Order books: snapshots, updates, and which update follows which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec


class BookSnapshot(NamedTuple):
    """An order book as REST has it: the id of the last update in it, and (price, quantity) by level, best first."""

    last_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class BookUpdate(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """A change of an order book, checked: (price, quantity) by level, a quantity of zero removes the level.

    It leads from update `first_id - 1` to update `last_id`; of a `snapshot`, which replaces the book, `first_id` means
    nothing; one with neither id nor time has the `last_id` 0 and replaces whatever is known. Where a venue names the
    update before this one instead, `first_id` is that plus one; where that makes `first_id` follow `last_id`, nothing
    has changed. `event_time`: ms since the epoch. `numbered`: False where the venue gives no ids; both are the event
    time then.
    """

    symbol: str
    event_time: int
    first_id: int
    last_id: int
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]
    snapshot: bool = False
    numbered: bool = True


class Place(Enum):
    """Where an update belongs, seen from the last one applied."""

    NEXT = "next"
    """It follows: it is applied."""
    KNOWN = "known"
    """All that it says is applied already, or it is older."""
    AHEAD = "ahead"
    """Updates between are missing: the book begins again from a snapshot."""


@dataclass(frozen=True)
class OrderBook:
    """The procedure that keeps a local order book equal to the venue's."""

    snapshot_by: str
    """`rest`: it is requested, and updates are kept meanwhile. `channel`: subscribing brings it first."""
    levels: tuple[int, ...]
    """How many levels of a side a snapshot can be requested with, ascending: the fewer, the cheaper. Beyond the last
    level of a snapshot nothing is known. Empty where a snapshot is the whole book."""
    place: Callable[[int, BookUpdate], Place]
    """Given the id of the last update applied: the chain rule (see `chains.py` for those that venues share)."""
