"""The contract of a venue: all that the rest of the project knows of an exchange. Pure: no part of it does any I/O.

A venue is a folder beside this file, with one `Venue` for each exchange that speaks its API. Each part of a `Venue` is
a file of that folder: `markets`, `channels`, `frames`, `requests`, `order_book`, `limits`. A part with functions can be
a module, or an object where two exchanges of a folder differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from cryptocdc_core.catalogue.streams import RECENT_TRADES, STREAMS
from cryptocdc_core.feed import Streams
from cryptocdc_core.resolve import Market
from cryptocdc_core.rows import Crypto24hStatsRow, KlinesRow, LatestPricesRow, OpenInterestRow, RecentTradesRow, Row
from cryptocdc_exchanges.checks import Rejected

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R", bound=Row)

MAX_BODY = 1024 * 1024
"""Bytes of an ordinary answer that are accepted."""
MAX_BODY_OF_ALL = 64 * 1024 * 1024
"""Bytes of an answer about every market of an exchange."""


# Streams


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


# Markets


class Listing(NamedTuple):
    """What an answer says of the venue's markets, and of its own limits by their names."""

    markets: Mapping[str, Market]
    limits: Mapping[str, int] = {}


class Markets(Protocol):
    def listing(self, symbol: str | None) -> Sequence[Request[Listing]]:
        """Return the requests that together list every market, or only `symbol`. They are sent one after the other."""

    def quote_volumes(self) -> Sequence[Request[Mapping[str, float]]]:
        """Return the requests for what was traded of every market in 24 hours, in its quote asset: to rank by."""


# WebSocket


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


# REST


@dataclass(frozen=True)
class Request(Generic[T_co]):
    """A GET request. `path` follows the base URL of REST. `read(body, now_ms)` returns what the answer says, or
    raises Rejected. It counts `cost` against the limit named `limit`.
    """

    path: str
    read: Callable[[bytes, int], T_co]
    params: Mapping[str, str | int] = field(default_factory=dict)
    cost: int = 1
    limit: str = ""
    max_bytes: int = MAX_BODY
    until: int | None = None
    """Of klines: once this time in ms has passed, the answer has all that open before it, however few. A venue says so
    that has none of intervals without a trade; elsewhere each kline shows that there is none before it."""


class Refused(NamedTuple):
    """An element of an answer that was refused: why, its bytes, and the id of its trade or the open time of its kline
    in ms, None where that can't be read."""

    rejected: Rejected
    part: bytes
    position: int | None


class Rows(NamedTuple, Generic[R]):
    """The rows of an answer, and what was refused of it alone."""

    rows: list[R]
    refused: list[Refused]


class FirstTrade(NamedTuple):
    """Ids of trades at or after a time, the first one among them; nothing at all when there is no such trade."""

    ids: list[int]
    refused: list[Refused]


class BookSnapshot(NamedTuple):
    """An order book as REST has it: the id of the last update in it, and (price, quantity) by level, best first."""

    last_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class Requests(Protocol):
    """The requests for market data. Those for streams that the venue does not have over REST are never called."""

    page: int
    """Rows that the venue gives at most in one answer."""
    stats_per_request: int
    prices_per_request: int
    """Symbols that one request may name."""

    def ping(self) -> Request[object]:
        """The lightest request there is."""

    def trades(self, symbol: str, kind: str, from_id: int | None, limit: int) -> Request[Rows[RecentTradesRow]]:
        """Up to `limit` trades from `from_id` on, or the last ones. By id only what `Offer.refill` says."""

    def first_trade(self, symbol: str, kind: str, at_ms: int, limit: int) -> Request[FirstTrade] | None:
        """The first trade at or after `at_ms`, looked for among `limit`. None: the venue gives trades by id alone."""

    def klines(self, symbol: str, interval: str, start_ms: int | None, limit: int) -> Request[Rows[KlinesRow]]:
        """Up to `limit` klines whose open times are `start_ms` or later, or the last ones; of a venue that leaves some
        out those of `limit` intervals. Those that the venue may still change are not `closed`."""

    def stats(self, symbols: Sequence[str]) -> Request[Rows[Crypto24hStatsRow]]:
        """The 24-hour statistics of several symbols, of which one that is unknown may spoil the answer for all."""

    def prices(self, symbols: Sequence[str]) -> Request[Rows[LatestPricesRow]]:
        """The latest prices of several symbols, likewise."""

    def book(self, symbol: str, levels: int) -> Request[BookSnapshot]:
        """The best `levels` of each side, or more."""


# Order books


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
    levels: int | None
    """A side of a snapshot; beyond its last level nothing is known. None: a snapshot is the whole book."""
    place: Callable[[int, BookUpdate], Place]
    """Given the id of the last update applied: the chain rule (see `chains.py` for those that venues share)."""


# Limits


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


# The whole


@dataclass(frozen=True)
class Hosts:
    """Base URLs, to which the paths of requests and channels are added."""

    rest: str
    websocket: str
    own_paths: re.Pattern[str]
    """The paths under which the venue documents its API, at the end of a URL: someone may give a base URL with them."""
    lacks: frozenset[str] = frozenset()
    """Kinds of trades that can't be requested by id at `rest`, though the venue's other hosts have them."""

    def base(self, url: str) -> str:
        """Return `url` without the API's own path and without a slash at its end; a path in front of it stays."""
        return self.own_paths.sub("", url).rstrip("/")


@dataclass(frozen=True)
class Simulated:
    """Where the simulator speaks as this venue: the path below its address, and markets that it always lists."""

    path: str
    always_listed: tuple[str, ...]


@dataclass(frozen=True)
class Venue:
    """One exchange. `offers` has its streams by table; `always_listed` are markets that it has had from the beginning:
    a list of markets without most of them is not believed.
    """

    name: str
    hosts: Hosts
    offers: Mapping[str, Offer]
    always_listed: tuple[str, ...]
    simulated: Simulated
    markets: Markets
    channels: Channels
    frames: Frames
    requests: Requests
    order_book: OrderBook
    limits: Limits
    open_interest: Callable[[str], Request[Rows[OpenInterestRow]]] | None = None
    """The request for a symbol's open interest, of a venue that offers it."""

    def at(self, rest: str | None = None, websocket: str | None = None) -> Venue:
        """Return this venue at other base URLs. A host of one's own is taken to be complete."""
        own = self.hosts
        hosts = replace(
            own,
            rest=own.base(rest) if rest else own.rest,
            websocket=own.base(websocket) if websocket else own.websocket,
        )
        return replace(self, hosts=hosts if hosts.rest == own.rest else replace(hosts, lacks=frozenset()))

    def at_simulator(self, rest: str, websocket: str) -> Venue:
        """Return this venue as the simulator with these base URLs has it."""
        return self.at(rest + self.simulated.path, websocket + self.simulated.path)

    def not_refillable(self, streams: Streams) -> frozenset[str]:
        """Return the tables whose rows are lost when a feed with these streams misses them."""
        offers = {table: offer.of(getattr(streams, table)) for table, offer in self.offers.items()}
        return frozenset(table for table, offer in offers.items() if offer.refill is None)

    def lacking(self, streams: Streams, symbol: str) -> list[str]:
        """Return the names of those streams that the venue has, but not of this market."""
        tables = {table for table in streams.tables if table in self.offers and not self.offers[table].covers(symbol)}
        return [stream.name for stream in STREAMS.values() if stream.table in tables]

    def gives_by_id(self, kind: str) -> bool:
        """Return whether trades of this kind can be requested by id, and so be filled in later."""
        offer = self.offers.get(RECENT_TRADES.table)
        return bool(offer and offer.refill and kind in offer.refill.kinds - self.hosts.lacks)
