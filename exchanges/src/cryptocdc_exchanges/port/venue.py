"""One exchange: all of its parts together, and where it is reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cryptocdc_core.catalogue.streams import RECENT_TRADES, STREAMS
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import OpenInterestRow
from cryptocdc_exchanges.port.archive import Archive
from cryptocdc_exchanges.port.channels import Channels
from cryptocdc_exchanges.port.frames import Frames
from cryptocdc_exchanges.port.limits import Limits
from cryptocdc_exchanges.port.markets import Markets
from cryptocdc_exchanges.port.order_book import OrderBook
from cryptocdc_exchanges.port.requests import Request, Requests, Rows
from cryptocdc_exchanges.port.streams import Offer


@dataclass(frozen=True)
class Hosts:
    """Base URLs, to which the paths of requests and channels are added."""

    rest: str
    websocket: str
    own_paths: re.Pattern[str]
    """The paths under which the venue documents its API, at the end of a URL: someone may give a base URL with them."""
    lacks: frozenset[str] = frozenset()
    """Kinds of trades that can't be requested by id at `rest`, though the venue's other hosts have them."""
    archive: str = ""
    """The base URL of the public archive; "" if the venue has none that is known here."""

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
    archive: Archive | None = None
    """The files of past days that the venue publishes; None if it publishes none."""

    def at(self, rest: str | None = None, websocket: str | None = None, archive: str | None = None) -> Venue:
        """Return this venue at other base URLs. A host of one's own is taken to be complete."""
        own = self.hosts
        hosts = replace(
            own,
            rest=own.base(rest) if rest else own.rest,
            websocket=own.base(websocket) if websocket else own.websocket,
            archive=archive.rstrip("/") if archive else own.archive,
        )
        return replace(self, hosts=hosts if hosts.rest == own.rest else replace(hosts, lacks=frozenset()))

    def at_simulator(self, rest: str, websocket: str) -> Venue:
        """Return this venue as the simulator with these base URLs has it."""
        base = rest + self.simulated.path
        return self.at(base, websocket + self.simulated.path, base if self.archive is not None else None)

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

    def fills_from_archive(self, streams: Streams) -> bool:
        """Return whether gaps of a feed's trades are filled from the archive, since they can't be requested by id."""
        trades = streams.recent_trades
        return self.archive is not None and trades is not None and not self.gives_by_id(trades.kind)
