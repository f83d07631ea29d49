"""What every venue declares fits together, and fits the rest of the project."""

from __future__ import annotations

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed.symbols import is_symbol
from cryptocdc_exchanges.port import Channel, Proof, Venue

from .examples import every_venue, feed_of, material
from .simulated import with_every_stream


@every_venue
def test_a_venue_offers_existing_streams_and_declares_what_can_be_proven(venue: Venue) -> None:
    assert venue.offers
    for table, offer in venue.offers.items():
        columns = by_table(table).column_names
        assert set(offer.sources) <= {"websocket", "rest"}
        assert offer.sources
        assert offer.refill is None or offer.refill.by in columns
        assert (offer.proof is Proof.IDS) == (offer.refill is not None), table


@every_venue
def test_a_feed_has_channels_for_exactly_its_streams(venue: Venue) -> None:
    feed = feed_of(venue)
    channels = venue.channels.of(feed.spec.streams, with_every_stream(venue, venue.always_listed))

    tables = {table for channel in channels for table in channel.tables}
    assert tables == set(feed.spec.streams.tables)
    assert len(set(channels)) == len(channels)
    assert all(channel.path.startswith("/") for channel in channels)


@every_venue
def test_a_market_has_channels_for_exactly_the_streams_it_supports(venue: Venue) -> None:
    streams = feed_of(venue).spec.streams
    for symbol in venue.always_listed:
        tables = {table for channel in venue.channels.of(streams, symbol) for table in channel.tables}
        assert tables == {table for table in streams.tables if venue.offers[table].covers(symbol)}


@every_venue
def test_channels_of_two_symbols_differ_except_those_of_all_markets(venue: Venue) -> None:
    streams = feed_of(venue).spec.streams
    seen: set[Channel] = set()
    for symbol in venue.always_listed:
        channels = set(venue.channels.of(streams, symbol))
        assert all(venue.offers[channel.table].shared for channel in channels & seen)
        seen |= channels


@every_venue
def test_limits_of_connections_and_requests_are_positive(venue: Venue) -> None:
    limits = venue.channels.limits
    assert limits.channels >= limits.channels_per_command >= 1
    assert limits.attempts >= 1
    assert limits.command_every_s >= 0
    assert limits.ping is None or limits.ping_every_s < 30
    names = [limit.name for limit in venue.limits.budgets()]
    assert len(set(names)) == len(names) >= 1
    assert all(limit.amount > 0 and limit.per_s > 0 for limit in venue.limits.budgets())


@every_venue
def test_requests_count_against_existing_limits_of_the_venue(venue: Venue) -> None:
    names = {limit.name: limit.amount for limit in venue.limits.budgets()}
    asked = [
        venue.requests.ping(),
        *venue.markets.listing(None),
        *venue.markets.listing(venue.always_listed[0]),
        *venue.markets.quote_volumes(),
        *(example.request for example in material(venue).bodies),
    ]
    for request in asked:
        assert request.limit in names
        assert 1 <= request.cost <= names[request.limit]
        assert request.path.startswith("/")


@every_venue
def test_the_always_listed_markets_are_valid_symbols(venue: Venue) -> None:
    for listed in (venue.always_listed, venue.simulated.always_listed):
        assert len(listed) >= 2
        assert all(map(is_symbol, listed))


@every_venue
def test_a_trailing_slash_is_removed_from_custom_hosts_which_lack_nothing(venue: Venue) -> None:
    own = venue.at("https://gate.example/deep/", "wss://gate.example/")

    assert (own.hosts.rest, own.hosts.websocket) == ("https://gate.example/deep", "wss://gate.example")
    assert not own.hosts.lacks
    assert venue.at().hosts == venue.hosts
