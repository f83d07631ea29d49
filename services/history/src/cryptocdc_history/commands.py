"""The command line of `cryptocdc history`: past days from the exchange's public archive."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Annotated

import psycopg2
import typer
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException
from rich.console import Console

from cryptocdc_adapters.postgres.connections import connect
from cryptocdc_adapters.postgres.history_files import HistoryFiles
from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.exits import BadInput, Exit, fail, refusing_bad_input
from cryptocdc_core.program.settings import ExchangeSettings, PostgresSettings, SettingsError, SimulatorSettings
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Venue
from cryptocdc_exchanges.registry import at_archive, simulated, venue_of
from cryptocdc_history.chosen import downloads, series_of, symbols_of, with_archive
from cryptocdc_history.loading import HistoryError, load
from cryptocdc_history.result import Load, Options
from cryptocdc_history.screen import Progress, listing, show
from cryptocdc_producer.archive.load import remove_downloads
from cryptocdc_verifier.target import Target, VerifyError

Feed = Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")]
Source = Annotated[str | None, typer.Option(help="exchange or simulated; default: the one that the feed ran with")]
Json = Annotated[bool, typer.Option("--json", help="one JSON line instead of text")]


def register(app: typer.Typer) -> None:
    """Add `history` to `app`."""
    group = typer.Typer(no_args_is_help=True, help="Past days from the exchange's public archive.")
    group.command("load")(load_command)
    group.command("list")(list_command)
    app.add_typer(group, name="history")


def load_command(
    feed: Feed,
    begin: Annotated[str, typer.Option("--from", help="a month such as 2024-01, or a time: ISO 8601, or s or ms")],
    end: Annotated[str | None, typer.Option("--to", help="the same, exclusive; default: now")] = None,
    chosen: Annotated[list[str] | None, typer.Option("--symbol", help="only this symbol; can be repeated")] = None,
    streams: Annotated[
        list[str] | None, typer.Option("--stream", help="only this stream of the feed; can be repeated")
    ] = None,
    accept_mismatch: Annotated[
        bool, typer.Option("--accept-mismatch", help="also load files whose checksum is not the published one")
    ] = False,
    only_plan: Annotated[bool, typer.Option("--plan", help="only show what would be loaded")] = False,
    folder: Annotated[Path | None, typer.Option(help="where downloads are kept meanwhile")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Load past days from the exchange's public archive into Cassandra, and prove them equal to its files. The days
    that PostgreSQL keeps are fetched over REST.

    Ctrl-C stops it; started again, it goes on. Exit code 1 if a file could not be loaded or proven, or anything was
    refused.
    """
    parsed = feeds.load(feed)
    from_ms = times.month_or_time("--from", begin)
    to_ms = None if end is None else times.month_or_time("--to", end)
    if to_ms is None and from_ms >= times.now_ms():
        raise BadInput(f"--from: {begin!r} is not accepted; accepted: a time that has passed")
    if to_ms is not None and from_ms >= to_ms:
        raise BadInput(f"--to: {end!r} is not accepted; accepted: a time after --from")
    target = _target(parsed, source)
    venue = _venue(parsed, target)
    here = folder or downloads(target)
    console = Console(stderr=True)
    try:
        wanted = symbols_of(target, chosen)
        series = series_of(parsed, venue, wanted, streams)
        since = dict.fromkeys((it.table for it in series), from_ms)
        options = Options(
            since,
            to_ms,
            series,
            here,
            accept_mismatch=accept_mismatch,
            only_plan=only_plan,
            chosen=wanted if chosen else (),
        )
        with Progress(console) as progress:
            result = load(Load(target, venue, options), progress)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", Exit.UNEQUAL)
    except HistoryError as error:
        fail(f"{error.message}\n  → {error.remedy}", Exit.PLATFORM)
    except VerifyError as error:
        fail(error, Exit.PLATFORM)
    remove_downloads(here)
    print(json.dumps(result.to_json()) if as_json else result.text(), flush=True)
    if not result.complete:
        raise typer.Exit(Exit.UNEQUAL)


def list_command(feed: Feed, source: Source = None, as_json: Json = False) -> None:
    """List the archive's files: loaded, proven or quarantined, and why; and what was fetched over REST."""
    parsed = feeds.load(feed)
    target = _target(parsed, source)
    with closing(connect(target.postgres, "history", autocommit=True)) as connection:
        records = HistoryFiles(connection, target.names).all()
    if as_json:
        print(json.dumps({"feed": parsed.name, "source": target.source, "files": listing(records)}), flush=True)
    else:
        # Names of files are not cut where the output is not a terminal.
        width = None if Console().is_terminal else max(200, shutil.get_terminal_size().columns)
        show(records, Console(width=width))


def _target(feed: CryptoFeed, source: str | None) -> Target:
    try:
        target = Target.from_env(feed, source_in_use(PostgresSettings.from_env(), feed, source))
    except SettingsError as error:
        fail(f"{error}\nThese say where the servers are; `cryptocdc up` starts them on this machine", Exit.PLATFORM)
    if target.source == "capture":
        raise BadInput("--source: a capture has no archive; accepted: exchange, simulated")
    return target


def _venue(feed: CryptoFeed, target: Target) -> Venue:
    here, rest = SimulatorSettings.from_env(), ExchangeSettings.from_env().rest_url
    if rest:  # in a Job, which knows where the simulator is
        return with_archive(at_archive(feed, target.source, rest))
    simulated_venue = target.source == "simulated"
    return with_archive(simulated(feed, here.rest_url, here.websocket_url) if simulated_venue else venue_of(feed))


if __name__ == "__main__":  # in its image, where there is no command `cryptocdc`
    program = typer.Typer()
    register(program)
    with refusing_bad_input():
        try:
            program()
        except (psycopg2.Error, KafkaException, NoHostAvailable, DriverException) as error:
            fail(" ".join(str(error).split()), Exit.PLATFORM)
