"""The streams that a venue offers, and what can be proven of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class Proof(Enum):
    """What can be said about the completeness of a stream's rows."""

    IDS = "ids"
    """Rows have consecutive ids: each one that is missing is known by its id."""
    SEQUENCE = "sequence"
    """Messages are chained: that some are missing is known, but not what they held."""
    ARRIVAL = "arrival"
    """Nothing: only what arrived is known."""


@dataclass(frozen=True)
class Refill:
    """How missed rows of a stream are found and fetched."""

    by: str
    """The column whose values follow each other without a hole: `trade_id`, `open_time`."""
    kinds: frozenset[str] = frozenset()
    """Of trades: the kinds whose ids follow each other and can be requested. Of all others only what arrives is known:
    their ids are not searched for gaps."""
    first_id: int = 0
    """Of trades: the id of a market's first one."""


def every_market(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Offer:
    """A stream that a venue has. `sources`: the APIs over which it comes, as in the feed (`websocket`, `rest`)."""

    sources: tuple[str, ...]
    proof: Proof
    refill: Refill | None = None
    """None: what is missed is lost, and the time without rows is counted instead."""
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values that a field of the stream's settings, such as `kind` or `intervals`, may have at this venue, where
    that is less than the feed's model accepts. A feed with another value is refused."""
    covers: Callable[[str], bool] = every_market
    """Whether the market with this symbol has it, at a venue whose markets are of several kinds."""
    shared: bool = False
    """Whether one channel has the rows of all its markets, including those that were not asked for."""

    def of(self, settings: object) -> Offer:
        """Return what is offered of a stream with these settings of the feed. For some kinds of trades it is less, and
        what is polled has no messages that could be chained."""
        kind, source = getattr(settings, "kind", None), self.source(settings)
        if self.refill is not None and self.refill.kinds and kind is not None and kind not in self.refill.kinds:
            return replace(self, proof=Proof.ARRIVAL, refill=None)
        return replace(self, proof=Proof.ARRIVAL) if self.proof is Proof.SEQUENCE and source == "rest" else self

    def source(self, settings: object) -> str:
        """Return the API over which the stream comes with these settings of a feed: the only one where they have no
        choice of it."""
        return str(getattr(settings, "source", self.sources[0]))
