"""The contract of a dialect, which presents the simulated market in one venue's format.

A dialect is written from the venue's public documentation. It shares no code with the product's decoders, so that an
error in one can't cancel the same error in the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.websockets import WebSocket

from cryptocdc_simulator.archive.files import Format
from cryptocdc_simulator.market.market import Listing, Market
from cryptocdc_simulator.market.stats import DAY_MS, Stats
from cryptocdc_simulator.market.symbols import Instrument

encode = msgspec.json.encode
JSON = "application/json;charset=UTF-8"


class ApiError(Exception):
    """A response that refuses a request: `body` is JSON, or a page in bytes."""

    def __init__(
        self, status: int, body: object, headers: Mapping[str, str] | None = None, media_type: str = JSON
    ) -> None:
        super().__init__(str(body))
        self.status, self.body, self.headers, self.media_type = status, body, headers or {}, media_type


def _no_headers(_: Any) -> dict[str, str]:
    return {}


class Answer(NamedTuple):
    """A response that is not computed yet. `headers` are derived from its body, `rows` says where a page's rows are."""

    weight: int
    body: Callable[[], Awaitable[Any]]
    headers: Callable[[Any], dict[str, str]] = _no_headers
    rows: str | None = None
    """The field with the rows; None if the body itself is the list of rows."""


class Api(Protocol):
    """The REST API of a venue. Endpoints have names, which faults and metrics use."""

    @property
    def names(self) -> Collection[str]: ...

    def name_of(self, path: str) -> str | None:
        """Return the endpoint of a path below the API's base; None if there is none."""

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Validate a request and count it against the limits. Raises ApiError."""

    def refusal(self, status: int, seconds: int) -> ApiError:
        """Return how the venue refuses every request with `status` for the remaining seconds."""

    def headers(self) -> dict[str, str]:
        """Return the headers of every response, such as the used part of a limit."""

    def used(self) -> int:
        """Return how much of the current window's limit is used."""

    def use(self, amount: int) -> None:
        """Count `amount` as used, as if by another process behind the same address."""

    def forgive(self) -> None:
        """Reset used limits and bans."""


class Outgoing(NamedTuple):
    """One event: the stream, its payload, and, if it was recorded, the original frame."""

    stream: str
    payload: bytes
    wrapped: bytes | None = None


class Source(Protocol):
    """The interface of a market or a capture to the connections."""

    async def prepare(self, stream: str) -> None:
        """Called before a subscription counts."""

    def open(self, stream: str) -> None:
        """A stream has got its first subscriber."""

    def close(self, stream: str) -> None:
        """A stream has lost its last subscriber."""

    def due(self) -> Iterator[Outgoing]:
        """Return all events that are due on the open streams, in order."""

    def welcome(self, stream: str) -> Iterable[bytes]:
        """Return what a new subscriber gets first, such as the snapshot before the next update of a book."""

    def symbol_of(self, stream: str) -> str | None:
        """Return the market that a stream belongs to; None for a stream of all markets, or of none."""


class Stream(Protocol):
    """`due`: when (ms of the market's clock) the stream has its next event."""

    due: int

    async def prepare(self) -> None:
        """Compute what the first event needs, without blocking other streams."""

    def emit(self, now: int) -> Iterator[Any]:
        """Return events up to `now`, and update `due`."""

    def welcome(self) -> Iterator[Any]:
        """Return events for a new subscriber only."""


Opened = tuple[Stream, Listing | None]
"""A stream, and the market with which it ends."""


class Idle(NamedTuple):
    """A deadline: the connection is closed with `code` after `seconds` unless the client does what the venue
    expects."""

    seconds: float
    code: int
    reason: str


class Reply(NamedTuple):
    """One message to the client, and the streams to which it is subscribed from then on."""

    message: bytes
    subscribe: Iterable[str] = ()


class Client(Protocol):
    """A connection, as seen by a dialect."""

    streams: dict[str, None]
    wrap: Callable[[str, bytes], bytes] | None

    def unsubscribe(self, streams: Iterable[str]) -> None: ...


class Session(Protocol):
    """Subscriptions of clients of one WebSocket path."""

    @property
    def messages_a_second(self) -> int:
        """A client that sends more messages is disconnected."""

    def begin(self, websocket: WebSocket, client: Client) -> list[str]:
        """Set up a new connection. Returns the streams named in its URL; raises ValueError with the reason if the
        connection is to be closed immediately."""

    def replies(self, client: Client, text: str) -> list[Reply]:
        """Return the reply to a client's message."""

    def idle(self, client: Client) -> Idle | None:
        """Return the client's current deadline, if any."""


@dataclass(frozen=True)
class Dialect:
    """One venue, ready to be served. Its paths are below `base`, so that one process serves all venues."""

    name: str
    base: str
    source: Source
    api: Api
    rest_paths: tuple[str, ...]
    """Routes of the REST API; their parameter `endpoint` is the path passed to `api`."""
    sessions: Mapping[str, Session]
    """By WebSocket path."""
    malformed: Mapping[str, Callable[[str], str]]
    """By kind, in addition to those of all venues: the function that makes a malformed payload of a valid one."""
    farewell: Callable[[int], tuple[str, bytes] | None]
    """Returns the stream and payload that announce at a time (ms) that a connection is about to be closed."""
    new_instrument: Callable[[Mapping[str, str]], Instrument]
    """Returns what the fault `list` is to list. Raises KeyError or ValueError."""
    market: Market | None = None
    """None if a capture is replayed."""
    archive: Format | None = None
    """How the venue's public archive writes the market; None if it has none."""
    faults: Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]] = field(default_factory=dict)
    """Faults specific to this venue, by name; each returns the response to the request."""


async def ready(body: Any) -> Any:
    """Do nothing: for an Answer whose body needs no computation."""
    return body


async def prepared(listing: Listing, start: int, end: int) -> None:
    """Cache the sums of a span without blocking the streams while they are computed."""
    for _ in listing.bars.filled(start, end):
        await asyncio.sleep(0)


async def stats_of(listing: Listing) -> Stats:
    now = listing.now()
    await prepared(listing, now - DAY_MS, now)
    return listing.stats()
