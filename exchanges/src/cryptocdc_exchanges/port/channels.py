"""WebSocket: channels, the messages that subscribe to them, the limits of connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cryptocdc_core.feed.streams import Streams


class Channel(NamedTuple):
    """One subscription: the table that it fills, the name that the venue's commands give it, and the path of the
    connection that carries it, which follows the WebSocket's base URL. `also`: further tables, where its frames have
    the rows of several streams."""

    table: str
    name: str
    path: str
    also: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Return all tables that it fills."""
        return (self.table, *self.also)


@dataclass(frozen=True)
class ConnectionLimits:
    """What one address may do with connections; lower than what the venue allows where that hurts less."""

    channels: int
    """On one connection."""
    channels_per_command: int
    command_every_s: float
    attempts: int
    """Connections that may be tried within `attempts_s` seconds."""
    attempts_s: float
    max_age_s: float | None = None
    """The connection is replaced before the venue closes it; None: it does not close it."""
    commands: float = float("inf")
    """After so many the connection is replaced by another, which may take as many."""
    ping: str | None = None
    """Sent every `ping_every_s` to keep a connection open; None: the venue pings, or nobody needs to."""
    ping_every_s: float = 20.0


class Channels(Protocol):
    """How subscriptions are written. They are acknowledged by a `Reply` among the frames."""

    @property
    def limits(self) -> ConnectionLimits: ...

    def of(self, streams: Streams, symbol: str) -> list[Channel]:
        """Return the channels that a feed with these streams needs of `symbol`."""

    def subscribe(self, number: int, names: Sequence[str]) -> str:
        """Return the message that subscribes to channels of these names. `number` is counted up by connection."""

    def unsubscribe(self, number: int, names: Sequence[str]) -> str:
        """Return the message that ends these subscriptions."""
