"""What is loaded of a feed: its venue's archive, its symbols, and the series that the archive publishes of them. Raises
BadInput for what the archive does not have."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptocdc_adapters.kafka.symbols import read_symbols
from cryptocdc_core.catalogue import by_table, named
from cryptocdc_core.feed import symbols
from cryptocdc_core.feed.history import past_s
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import HistorySettings
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Series, Venue
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_history.loading import HistoryError
from cryptocdc_verifier.target import Target


def downloads(target: Target) -> Path:
    """Return the folder where a feed's downloads are kept meanwhile."""
    return (HistorySettings.from_env().folder or Path(tempfile.gettempdir()) / "cryptocdc-history") / target.names.fid


def with_archive(venue: Venue) -> Venue:
    if venue.archive is None:
        others = ", ".join(name for name, other in VENUES.items() if other.archive is not None)
        raise BadInput(
            f"spec.exchange: {venue.name} has no public archive that is known here; exchanges that have one: {others}."
            " `cryptocdc backfill` fetches what it gives over REST"
        )
    return venue


def symbols_of(target: Target, chosen: Sequence[str] | None = None) -> list[str]:
    """Return the chosen symbols, or all of the feed: those of `top` are read from Kafka.

    Raises KafkaException, and HistoryError if there are none yet: they may come, so it is no bad input.
    """
    if chosen:
        listed = list(dict.fromkeys(map(symbols.as_listed, chosen)))
        for symbol in listed:
            if not symbols.is_symbol(symbol):
                raise BadInput(f"--symbol: {symbol!r} is not accepted; accepted: {symbols.WORDS}")
        return listed
    names = target.feed.spec.symbols.names
    if names:
        return list(names)
    captured = sorted(read_symbols(target.kafka, target.names.symbols_topic))
    if not captured:
        raise HistoryError(
            f"spec.symbols.top: {target.feed.name} has no symbols yet: Kafka's topic"
            f" {target.names.symbols_topic} is empty",
            "`cryptocdc apply -f FEED` or the operator writes them",
        )
    return captured


def begins(feed: CryptoFeed, now_ms: int) -> dict[str, int]:
    """Return by table since when `spec.history` asks for rows of the archive, in ms; none for tables of which it does
    not."""
    begin, past = feed.spec.history.begin, feed.spec.archived_past
    found = {table: now_ms - past_s(text) * 1000 for table, text in past.items()}
    if begin is None:
        return found
    from_ms = times.month_or_time("spec.history.from", begin)
    return {table: min(from_ms, found.get(table, from_ms)) for table in feed.spec.streams.tables}


def series_of(
    feed: CryptoFeed, venue: Venue, of_symbols: Sequence[str], streams: Sequence[str] | None = None
) -> list[Series]:
    """Return what the archive publishes of these symbols and streams; by default of all streams of the feed."""
    assert venue.archive is not None
    found = [series for symbol in of_symbols for series in venue.archive.series(feed.spec.streams, symbol)]
    published = map(by_table, dict.fromkeys(series.table for series in found))
    wanted = named(published, streams or (), f"those of the feed that {venue.name}'s archive has: ")
    found = [series for series in found if series.table in {stream.table for stream in wanted}]
    if not found:
        raise BadInput(
            f"spec.streams: {venue.name}'s archive has none of the feed's streams; accepted: recentTrades, klines"
        )
    return found
