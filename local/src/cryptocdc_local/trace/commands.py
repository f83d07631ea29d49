"""The command `cryptocdc trace`."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from cassandra import DriverException
from rich.console import Console

from cryptocdc_adapters.kafka.symbols import read_symbols
from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.catalogue import STREAMS, Stream, Type, named
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.feed.symbols import as_listed
from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.settings import PostgresSettings
from cryptocdc_core.rows.hops import Trail, Values
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Venue
from cryptocdc_exchanges.registry import venue_of
from cryptocdc_local.feeds import FeedStore
from cryptocdc_local.platform import Platform, PlatformError, PlatformSettings
from cryptocdc_local.trace.follow import End, add_current_answer, add_frame, end_of, follow, next_row, nothing_arrived
from cryptocdc_local.trace.frames import Listener, channels_of, why_none
from cryptocdc_local.trace.places import Places, places
from cryptocdc_local.trace.screen import show
from cryptocdc_verifier.target import Target, VerifyError

LIMIT_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the subcommand to `app`."""
    app.command()(trace)


def trace(
    feed: Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")],
    symbol: Annotated[str, typer.Option(help="one of the feed's symbols, such as BTCUSDT")],
    stream: Annotated[str | None, typer.Option(help=f"{', '.join(STREAMS)}; by default the feed's first")] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="trace the row with this key (repeat for each key column) instead of the next row",
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="exchange, simulated or capture; default: the one in use")] = None,
    limit: Annotated[
        float, typer.Option(min=1, help="seconds to wait for the row to be captured and to arrive")
    ] = LIMIT_S,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line instead of a table")] = False,
) -> None:
    """Follow one row through every hop: frame, PostgreSQL, Kafka, Cassandra. Exits with 0 only if it arrives unchanged.

    Without --key, it follows the symbol's next row and receives its frame over its own connection to the exchange.
    """
    parsed = feeds.load(feed)
    chosen = chosen_stream(parsed, stream)
    known = parsed_key(chosen, as_listed(symbol), key or [], parsed)
    target = Target.from_env(parsed, source_in_use(PostgresSettings.from_env(), parsed, source))
    captured = sorted(read_symbols(target.kafka, target.names.symbols_topic))
    if not captured:
        raise PlatformError(f"{target.names.fid} captures nothing here", f"run `cryptocdc apply -f {feed}` first")
    given = all(name in known for name in chosen.key)
    unknown = FeedError([f"--symbol: {symbol!r} is not accepted; accepted: {', '.join(captured)}"])
    if known["symbol"] not in captured and not given:
        raise unknown
    try:
        with places(target, chosen) as found:
            trail, end = _traced(found, known, limit)
    except VerifyError as error:
        raise PlatformError(str(error), "run `cryptocdc status` to see what runs") from None
    except DriverException as error:
        raise PlatformError(f"Cassandra: {error}", "run `cryptocdc status` to see what runs") from None
    if known["symbol"] not in captured and not trail.held:  # a symbol that is no longer captured may still have rows
        raise unknown
    head = {"feed": parsed.name, "source": target.source, "identity": target.names.fid}
    if as_json:
        print(json.dumps({**head, **trail.to_json(), "ends_at": end.at, "reason": end.reason}))
    else:
        show(head, trail, end, Console())
    if end.reason:
        raise typer.Exit(Exit.UNEQUAL)


def _traced(found: Places, known: Values, limit_s: float) -> tuple[Trail, End]:
    deadline = time.monotonic() + limit_s
    stream, target = found.stream, found.target
    venue = _venue(target)
    if all(name in known for name in stream.key):
        trail = follow(found, known, deadline, fresh=False)
        if trail.held:
            add_current_answer(found, trail, venue)
        return trail, end_of(found, trail)
    channels = channels_of(venue, target.feed, stream, known)
    if target.source == "capture" or not channels:
        # Over REST rows arrive once a minute, and a capture may have ended: use the newest row.
        newest = found.newest(known)
        if newest is None:
            return Trail(stream, known), nothing_arrived(stream, None, 0)
        trail = follow(found, {name: newest.values[name] for name in stream.key}, deadline, fresh=False)
        trail.notes["exchange"] = why_none(stream, "REST" if not channels else "a capture's replay")
        return trail, end_of(found, trail)
    with contextlib.closing(Listener(venue, target.feed, channels)) as listener:
        row = next_row(found, known, listener, deadline)
        if row is None:
            return Trail(stream, known), nothing_arrived(stream, listener, limit_s)
        trail = follow(found, {name: row.values[name] for name in stream.key}, deadline, fresh=True)
        add_frame(trail, listener)
    return trail, end_of(found, trail)


def _venue(target: Target) -> Venue:
    """Return the URLs that the run on this machine uses; without a run, the feed's own."""
    platform = Platform(PlatformSettings.from_environment())
    applied = FeedStore(platform.settings.home, platform.account).read(target.names.fid)
    if applied is not None:
        return venue_of(target.feed, applied.rest_url, applied.websocket_url)
    return venue_of(target.feed)


def chosen_stream(feed: CryptoFeed, name: str | None) -> Stream:
    """Return the stream with that name or table; by default the feed's first. Raises BadInput."""
    captured = [stream for stream in STREAMS.values() if stream.table in feed.spec.streams.tables]
    return named(captured, [] if name is None else [name])[0]


def parsed_key(stream: Stream, symbol: str, given: list[str], feed: CryptoFeed) -> Values:
    """Return the known columns of the key: all of them, or those that select among future rows. Raises FeedError."""
    columns = [name for name in stream.key if name != "symbol"]
    found: Values = {"symbol": symbol}
    for text in given:
        name, _, value = text.partition("=")
        if name not in columns or not value:
            raise FeedError([f"--key: {text!r} is not accepted; accepted: {' and '.join(f'{c}=…' for c in columns)}"])
        found[name] = _value(stream.types[name], value, name)
    klines = feed.spec.streams.klines
    if "interval" in columns and klines is not None:
        found.setdefault("interval", klines.intervals[0])
        if found["interval"] not in klines.intervals:
            accepted = ", ".join(klines.intervals)
            raise FeedError([f"--key interval: {found['interval']!r} is not accepted; accepted: {accepted}"])
    missing = [name for name in stream.clustering if name not in found]
    if missing and len(missing) < len(stream.clustering):
        raise FeedError([f"--key {missing[0]}: is missing; the key of {stream.table} is {', '.join(columns)}"])
    return found


def _value(kind: Type, text: str, name: str) -> Any:
    if kind is Type.TIMESTAMP:
        return times.option(f"--key {name}", text)
    if kind is Type.BIGINT:
        if not text.isdecimal() or int(text) >= 2**63:
            raise FeedError([f"--key {name}: {text!r} is not accepted; accepted: a whole number"])
        return int(text)
    return text
