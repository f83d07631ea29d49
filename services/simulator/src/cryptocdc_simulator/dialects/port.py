"""What a dialect is: how one venue writes the market that is simulated, and nothing of the machinery around it.

A dialect is written from the venue's public documentation. It shares no code with the product's decoders, so that an
error of one can't cancel the same error of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.websockets import WebSocket

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
    """A response that is still to be computed. `headers` are made from its body, `rows` is where a page's rows are."""

    weight: int
    body: Callable[[], Awaitable[Any]]
    headers: Callable[[Any], dict[str, str]] = _no_headers
    rows: str | None = None
    """The field that has the rows; None where the body is the list of rows itself."""


class Api(Protocol):
    """The REST API of a venue. Endpoints have names, by which faults and metrics know them."""

    @property
    def names(self) -> Collection[str]: ...

    def name_of(self, path: str) -> str | None:
        """The endpoint that a path below the API's base belongs to; None where there is none."""

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Check a request and count it against the limits. Raises ApiError."""

    def refusal(self, status: int, seconds: int) -> ApiError:
        """How the venue refuses every request with `status` for so many more seconds."""

    def headers(self) -> dict[str, str]:
        """Headers of every response, such as what has been used of a limit."""

    def used(self) -> int:
        """How much of the running window's limit is used."""

    def use(self, amount: int) -> None:
        """Count `amount` as used, as if by another process behind the same address."""

    def forgive(self) -> None:
        """Forget what was used, and bans."""


class Outgoing(NamedTuple):
    """One event: the stream, its payload, and, where it was recorded, the frame around it as it was."""

    stream: str
    payload: bytes
    wrapped: bytes | None = None


class Source(Protocol):
    """What a market and a capture offer to the connections."""

    async def prepare(self, stream: str) -> None:
        """Called before a subscription counts."""

    def open(self, stream: str) -> None:
        """A stream has got its first subscriber."""

    def close(self, stream: str) -> None:
        """A stream has lost its last subscriber."""

    def due(self) -> Iterator[Outgoing]:
        """Everything that is due by now on the open streams, in order."""

    def welcome(self, stream: str) -> Iterable[bytes]:
        """What a new subscriber gets first, such as the snapshot that the next update of a book follows."""

    def symbol_of(self, stream: str) -> str | None:
        """The market that a stream belongs to; None for a stream of all, or of none."""


class Stream(Protocol):
    """`due`: when (ms of the market's clock) the stream next has something to say."""

    due: int

    async def prepare(self) -> None:
        """Compute what the first event needs, without holding up the other streams."""

    def emit(self, now: int) -> Iterator[Any]:
        """Events up to `now`; sets `due` again."""

    def welcome(self) -> Iterator[Any]:
        """Events for a new subscriber alone."""


Opened = tuple[Stream, Listing | None]
"""A stream, and the market whose end ends it."""


class Idle(NamedTuple):
    """A connection is closed with `code` after `seconds` without what the venue expects."""

    seconds: float
    code: int
    reason: str


class Reply(NamedTuple):
    """One message to the client, and the streams that it gets from then on."""

    message: bytes
    subscribe: Iterable[str] = ()


class Client(Protocol):
    """A connection as a dialect sees it."""

    streams: dict[str, None]
    wrap: Callable[[str, bytes], bytes] | None

    def unsubscribe(self, streams: Iterable[str]) -> None: ...


class Session(Protocol):
    """How clients of one WebSocket path subscribe."""

    @property
    def messages_a_second(self) -> int:
        """A client that sends more is disconnected."""

    def begin(self, websocket: WebSocket, client: Client) -> list[str]:
        """Set up a new connection. Returns the streams that its URL names; raises ValueError, whose text is the reason
        why the connection is closed at once."""

    def replies(self, client: Client, text: str) -> list[Reply]:
        """What a message of the client is answered with."""

    def idle(self, client: Client) -> Idle | None:
        """How long the client may stay as it is; None for as long as it likes."""


@dataclass(frozen=True)
class Dialect:
    """One venue, ready to be served. Paths are below `base`, so that one process serves all venues."""

    name: str
    base: str
    source: Source
    api: Api
    rest_paths: tuple[str, ...]
    """Routes of the REST API; what they call `endpoint` is the path that `api` gets."""
    sessions: Mapping[str, Session]
    """By WebSocket path."""
    malformed: Mapping[str, Callable[[str], str]]
    """By kind, beyond those that are malformed in any venue: a bad payload made from a sound one."""
    farewell: Callable[[int], tuple[str, bytes] | None]
    """The stream and the payload that announce at a time (ms) that a connection is about to be closed."""
    new_instrument: Callable[[Mapping[str, str]], Instrument]
    """What the fault `list` is to list. Raises KeyError or ValueError."""
    market: Market | None = None
    """None where a capture is replayed."""
    faults: Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]] = field(default_factory=dict)
    """What can go wrong on this venue alone, by name; what each returns is the answer to who asked for it."""


async def ready(body: Any) -> Any:
    """For an Answer whose body needs no computing."""
    return body


async def prepared(listing: Listing, start: int, end: int) -> None:
    """Have the sums of a span at hand without holding up the streams while they are computed."""
    for _ in listing.bars.filled(start, end):
        await asyncio.sleep(0)


async def stats_of(listing: Listing) -> Stats:
    now = listing.now()
    await prepared(listing, now - DAY_MS, now)
    return listing.stats()
