"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.cell import Cell


class Outcome(Enum):
    CONVERGES = "converges"
    """Once the fault has passed, nothing is missing, extra or different, without anybody's help."""
    HALTS = "halts loudly"
    """A part stops, and says so where a user looks. What docs/operations.md advises is then done, and it converges."""
    SNAPSHOT = "takes a new snapshot, then converges"


SNAPSHOT_SIGN = "taking a new snapshot"
"""A regular expression of what a user sees of a new snapshot."""


@dataclass(frozen=True)
class Fault:
    """`inflict` brings the fault about and lifts it; it returns once it is lifted. It draws all parameters from
    `cell.random`, and notes them."""

    name: str
    """In words joined by dashes; those before a dash name the groups that the fault belongs to."""
    sentence: str
    inflict: Callable[[Cell], None]
    outcome: Outcome = Outcome.CONVERGES
    sign: str = ""
    """A regular expression of what a user must see of it meanwhile. "" stands for SNAPSHOT_SIGN where the outcome is a
    new snapshot; otherwise the fault is `absorbed`."""
    absorbed: str = ""
    """Why nothing is to be seen of it: the feed works as before."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What the feed's spec has besides the usual."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of its programs."""
    rate: float = 4.0
    """The load: a multiple of the simulated market's usual rate of trades."""
    recovers_s: float = 120.0
    """At most this long after it was lifted."""
    links: tuple[str, ...] = ()
    """The proxied links that it needs."""
    needs_root: bool = False
    """Whether it mounts a file system."""
    remedy: Callable[[Cell], None] | None = None
    """For a fault that halts: what the documentation advises."""
    works: tuple[Callable[[Cell, float], bool], ...] = ()
    """Whether a part that was hit works again, for parts that write no rows to Cassandra. Called repeatedly until it
    does, with the time in ms at which the fault was lifted."""
    dies: tuple[str, ...] = ()
    """The kinds of programs that may die of it. A cell fails if another one does."""
    loses: str = ""
    """What PostgreSQL itself has lost, within the cell's `lost`. Rows of that time may be extra, and those that were
    captured again may differ in `received_at`; see `judge`."""

    @property
    def visible(self) -> str:
        """A regular expression of what a user must see; "" if it is absorbed."""
        return self.sign or (SNAPSHOT_SIGN if self.outcome is Outcome.SNAPSHOT else "")
