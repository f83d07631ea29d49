"""The venues by name, collected from the folders of this package."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import cryptocdc_exchanges
from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import Source
from cryptocdc_exchanges import port
from cryptocdc_exchanges.port import Proof, Venue


def _all() -> Iterator[Venue]:
    """Folders beside the contract are discovered, so that adding one changes no other file."""
    for folder in pkgutil.iter_modules(cryptocdc_exchanges.__path__, f"{cryptocdc_exchanges.__name__}."):
        if folder.ispkg and folder.name != port.__name__:
            yield from import_module(folder.name).VENUES


VENUES: dict[str, Venue] = {venue.name: venue for venue in _all()}


def venue_of(feed: CryptoFeed, rest_url: str | None = None, websocket_url: str | None = None) -> Venue:
    """Return the feed's venue at its own hosts, unless the feed or the caller, who has priority, names others."""
    endpoints = feed.spec.endpoints
    venue = VENUES[feed.spec.exchange]
    return venue.at(rest_url or endpoints.rest, websocket_url or endpoints.websocket, endpoints.archive)


def simulated(feed: CryptoFeed, rest_url: str, websocket_url: str) -> Venue:
    """Return the feed's venue at the simulator with these base URLs. A feed of `simulated` may specify others."""
    endpoints = feed.spec.endpoints
    if feed.spec.exchange == "simulated":
        rest = endpoints.rest or rest_url
        return VENUES["simulated"].at(rest, endpoints.websocket or websocket_url, endpoints.archive or rest)
    return VENUES[feed.spec.exchange].at_simulator(rest_url, websocket_url)


def at_archive(feed: CryptoFeed, source: Source, rest_url: str | None = None) -> Venue:
    """Return the feed's venue with the address of its archive. The simulator's is beside its API, at `rest_url`:
    simulated and real days are never mixed."""
    venue = venue_of(feed, rest_url)
    if source != "simulated" or (feed.spec.exchange == "simulated" and feed.spec.endpoints.archive is not None):
        return venue
    return replace(venue, hosts=replace(venue.hosts, archive=venue.hosts.rest))


def always_listed(feed: CryptoFeed, source: Source) -> tuple[str, ...]:
    """Return the markets that a plausible list must contain; none for a replayed capture, which lists only what was
    recorded.
    """
    if source == "capture":
        return ()
    venue = VENUES[feed.spec.exchange]
    return venue.simulated.always_listed if source == "simulated" else venue.always_listed


def completeness(feed: CryptoFeed) -> dict[str, Proof]:
    """Return by table how it is known whether all rows of the feed's streams arrived. Equality of both databases does
    not show that.
    """
    offers, streams = VENUES[feed.spec.exchange].offers, feed.spec.streams
    return {table: offers[table].of(getattr(streams, table)).proof for table in streams.tables if table in offers}


def check(feed: CryptoFeed) -> None:
    """Raise FeedError with each stream, source and value of the feed that its venue does not have."""
    venue = VENUES[feed.spec.exchange]
    problems = [problem for name in STREAMS for problem in _problems(venue, feed, name)]
    trades = feed.spec.streams.recent_trades
    if trades is not None and feed.spec.past_ms(RECENT_TRADES.table) and not venue_of(feed).gives_by_id(trades.kind):
        problems.append(
            f"spec.history.recentTrades: {feed.spec.history.recent_trades!r} is not accepted; accepted: 0s, since"
            f" {venue.name} does not return trades of kind {trades.kind} by id here"
        )
    if feed.spec.endpoints.archive is not None and venue.archive is None:
        others = ", ".join(other.name for other in VENUES.values() if other.archive is not None)
        problems.append(
            f"spec.endpoints.archive: {feed.spec.endpoints.archive!r} is not accepted; accepted: nothing, since"
            f" {venue.name} has no public archive that is known here; exchanges that have one: {others}"
        )
    if feed.spec.export is not None:
        problems += _not_exported(feed)
    if feed.spec.history.begin is not None:
        problems += _without_archive(venue, feed)
    problems += _past_beyond_archive(venue, feed)
    if problems:
        raise FeedError(problems)


def _not_exported(feed: CryptoFeed) -> Iterator[str]:
    """Yield the streams of `spec.export` that the feed does not have."""
    has = [name for name in STREAMS if STREAMS[name].table in feed.spec.streams.tables]
    has += [stream.name for stream in feed.spec.computed]
    wanted = feed.spec.export.streams if feed.spec.export is not None else None
    for name in wanted or ():
        if name not in has:
            yield f"spec.export.streams: {name!r} is not accepted; accepted are the feed's: {', '.join(has)}"


def _without_archive(venue: Venue, feed: CryptoFeed) -> Iterator[str]:
    """Yield why `spec.history.from` can't be loaded."""
    given = f"spec.history.from: {feed.spec.history.begin!r} is not accepted"
    if venue.archive is None:
        others = ", ".join(other.name for other in VENUES.values() if other.archive is not None)
        yield (
            f"{given}; accepted: nothing, since {venue.name} has no public archive that is known here; exchanges that"
            f" have one: {others}"
        )
    elif not venue.archive.series(feed.spec.streams, ""):
        yield f"{given}; accepted: with the streams that {venue.name}'s archive has: recentTrades, klines"


def _past_beyond_archive(venue: Venue, feed: CryptoFeed) -> Iterator[str]:
    """Yield what is longer of `spec.history` than PostgreSQL keeps, and not in an archive."""
    kept = feed.spec.retention.postgres
    published = venue.archive.series(feed.spec.streams, "") if venue.archive is not None else ()
    for table, text in feed.spec.archived_past.items():
        if table not in {series.table for series in published}:
            name = next(stream.name for stream in STREAMS.values() if stream.table == table)
            yield (
                f"spec.history.{name}: {text!r} is not accepted; accepted: at most {kept}, what retention.postgres"
                f" keeps, since {venue.name} has no public archive of it that is known here; for more, raise the"
                " retention"
            )


def _problems(venue: Venue, feed: CryptoFeed, name: str) -> Iterator[str]:
    settings, field = getattr(feed.spec.streams, STREAMS[name].table), f"spec.streams.{name}"
    if settings is None:
        return
    offer = venue.offers.get(STREAMS[name].table)
    if offer is None:
        has = [stream.name for stream in STREAMS.values() if stream.table in venue.offers]
        others = [other.name for other in VENUES.values() if STREAMS[name].table in other.offers]
        yield (
            f"{field}: {venue.name} does not have it; accepted: {', '.join(has)};"
            f" exchanges that have {name}: {', '.join(others) or 'none'}"
        )
        return
    names = feed.spec.symbols.names or []
    if names and not any(map(offer.covers, names)):
        example = next(filter(offer.covers, venue.always_listed))
        given_names = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        yield (
            f"{field}: {venue.name} has it for no market of spec.symbols.names ({given_names}); accepted: names with a"
            f" market that has it, such as {example}"
        )
    choices = {"source": offer.sources} if hasattr(settings, "source") else {}
    for option, accepted in {**choices, **offer.accepted}.items():
        value: Any = getattr(settings, option)
        for given in value if isinstance(value, list) else [value]:
            if given not in accepted:
                yield f"{field}.{option}: {given!r} is not accepted; accepted at {venue.name}: {', '.join(accepted)}"
