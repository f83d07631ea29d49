"""What both kinds of exchange, the simulated market and the replayed capture, offer to the connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Outgoing(NamedTuple):
    """One event: the stream, its payload, and, where it was recorded, the combined stream's frame as it was."""

    stream: str
    payload: bytes
    wrapped: bytes | None = None


class Source(Protocol):
    async def prepare(self, stream: str) -> None:
        """Called before a subscription counts."""

    def open(self, stream: str) -> None:
        """A stream has got its first subscriber."""

    def close(self, stream: str) -> None:
        """A stream has lost its last subscriber."""

    def due(self) -> Iterator[Outgoing]:
        """Everything that is due by now on the open streams, in order."""
