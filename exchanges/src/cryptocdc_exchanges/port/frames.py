"""WebSocket: what a frame is, either events of markets or a word about the connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

import msgspec

from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.port.order_book import BookUpdate


class Reply(msgspec.Struct, gc=False):
    """The acknowledgement of a command, or its refusal; `error` is "" when it was obeyed.

    One command at a time is in flight on a connection. `number`: which command it answers, None where the venue does
    not say. `names`: the channels it speaks of, None where it speaks of all of the command's. Channels that are refused
    by name, as those of a market that is not listed, leave the others of their connection alone.
    """

    error: str = ""
    number: int | None = None
    names: frozenset[str] | None = None


class Closing(msgspec.Struct, gc=False):
    """The venue is about to close this connection."""


class Alive(msgspec.Struct, gc=False):
    """The answer to a ping, a heartbeat: no data, but the connection lives."""


Control = Reply | Closing | Alive


class Event(Protocol):
    """What a frame says of one market. Its fields have their types; `row` checks the values."""

    table: ClassVar[str]

    @property
    def symbol(self) -> str: ...

    def row(self, now_ms: int) -> Row | BookUpdate:
        """Return its row, received at `now_ms`; of an order book the update. Raises Rejected."""


Decode = Callable[[bytes], Sequence[Event] | Control]
"""A frame's events, or what it says about the connection. Raises Rejected."""


class Frames(Protocol):
    def decoder(self, streams: Streams) -> Decode:
        """Return the decoder of the frames that a feed with these streams receives."""
