"""The producer's part of the command `cryptocdc`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg2
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeRefused
from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed import symbols
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.program.exits import BadInput, Exit
from cryptocdc_core.program.settings import ExchangeSettings, PostgresSettings, SettingsError, SimulatorSettings
from cryptocdc_core.time import times
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Series
from cryptocdc_exchanges.registry import simulated, venue_of
from cryptocdc_producer.rest.ranges import Range, Ranges, UnwrittenError

_LISTED = 20
"""Maximum number of refusals listed individually."""


def register(app: typer.Typer) -> None:
    """Add the subcommands to `app`."""
    app.command()(backfill)


def backfill(
    feed: Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")],
    symbol: Annotated[str, typer.Option(help="one symbol, such as BTCUSDT")],
    begin: Annotated[str, typer.Option("--from", help="ISO 8601 (UTC by default), or s or ms since 1970")],
    end: Annotated[str, typer.Option("--to", help="the same, exclusive")],
    source: Annotated[
        str | None, typer.Option(help="exchange or simulated; default: the one that the feed ran with")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line instead of text")] = False,
) -> None:
    """Fetch trades and closed klines of a time range over REST. Exit code 1 when anything was refused.

    A trade that is stored already stays as it is; of a candle the exchange's latest answer is stored.
    """
    try:
        parsed = feeds.load(feed)
        from_ms, to_ms = times.option("--from", begin), times.option("--to", end)
        if from_ms >= to_ms:
            raise FeedError([f"--to: {end!r} is not accepted; accepted: a time after --from"])
        symbol = symbols.as_listed(symbol)
        if not symbols.is_symbol(symbol):
            raise FeedError([f"--symbol: {symbol!r} is not accepted; accepted: {symbols.WORDS}"])
        database = _database()
        used = source_in_use(database, parsed, source)
        if used == "capture":
            raise FeedError(["--source: a capture has no history to fetch; accepted: exchange, simulated"])
        url = ExchangeSettings.from_env().rest_url or _simulator(parsed, used)
    except BadInput as error:
        _fail(str(error), Exit.BAD_INPUT)
    except psycopg2.Error as error:
        _fail(f"PostgreSQL: {str(error).strip()}\n  → `cryptocdc status` shows what runs", Exit.PLATFORM)
    try:
        result = asyncio.run(_backfill(parsed, used, url, symbol, from_ms, to_ms, database))
    except ExchangeRefused as refused:
        _fail(f"--symbol {symbol}: {refused}", Exit.BAD_INPUT)
    except (ExchangeError, Rejected) as error:
        _fail(f"exchange: {error}", Exit.PLATFORM)
    except UnwrittenError as error:
        _fail(f"PostgreSQL: {error}", Exit.PLATFORM)
    except psycopg2.Error as error:
        _fail(
            f"PostgreSQL: {str(error).strip()}\n  → `cryptocdc apply -f {feed}` makes the feed's tables", Exit.PLATFORM
        )
    print(json.dumps(result) if as_json else _sentence(result))
    if result["refused"]:
        raise typer.Exit(Exit.UNEQUAL)


def _database() -> PostgresSettings:
    try:
        return PostgresSettings.from_env()
    except SettingsError as error:
        _fail(f"{error}\n  → `cryptocdc up` starts the servers of this machine and shows where they are", Exit.PLATFORM)


def _sentence(result: dict[str, Any]) -> str:
    rows = [
        f"{count:,} {what}" + (f" ({refused:,} refused)" if (refused := result["refused"].get(what)) else "")
        for what, count in result["rows"].items()
    ]
    stretch = f"{result['symbol']} from {result['from']} to {result['to']}"
    return f"{stretch}: {', '.join(rows) or 'nothing that can be fetched later'}; {result['seconds']:.1f} s"


def _simulator(feed: CryptoFeed, source: Source) -> str | None:
    """Return the URL of the simulator that a run of `feed` uses; None if there is none."""
    if source != "simulated":
        return None
    here = SimulatorSettings.from_env()
    return simulated(feed, here.rest_url, here.websocket_url).hosts.rest


async def _backfill(
    feed: CryptoFeed, source: Source, url: str | None, symbol: str, from_ms: int, to_ms: int, database: PostgresSettings
) -> dict[str, Any]:
    """Fetch and write; rows and refusals by what was fetched ("trades", "klines 1m"). Refusals are listed on stderr.
    Raises ExchangeError, Rejected, psycopg2.Error, UnwrittenError."""
    began = time.monotonic()
    ranges = Ranges(feed, venue_of(feed, url), Names(identity(feed.name, source)), database)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} rows"),
        console=Console(stderr=True),
    ) as bars:  # fmt: skip
        tasks: dict[str, TaskID] = {}

        def progress(what: str, rows: int, through_ms: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=to_ms - from_ms, rows=0)
            bars.update(tasks[what], completed=through_ms - from_ms, rows=rows)

        try:
            fetched = await ranges.fetch(symbol, _wanted(feed, symbol, from_ms, to_ms), progress)
        finally:
            ranges.close()
    for problem in ranges.problems[:_LISTED]:
        print(f"refused: {problem}", file=sys.stderr)
    if len(ranges.problems) > _LISTED:
        print(f"refused: {len(ranges.problems) - _LISTED:,} more", file=sys.stderr)
    return {
        "feed": feed.name,
        "source": source,
        "symbol": symbol,
        "from": _shown(from_ms),
        "to": _shown(to_ms),
        "rows": {what: found.rows for what, found in fetched.items()},
        "refused": {what: found.refused for what, found in fetched.items() if found.refused},
        "seconds": round(time.monotonic() - began, 1),
    }


def _wanted(feed: CryptoFeed, symbol: str, from_ms: int, to_ms: int) -> list[Range]:
    """Return the range of each stream of the feed that can be fetched later."""
    klines, trades = feed.spec.streams.klines, feed.spec.streams.recent_trades
    series = [Series(KLINES.table, symbol, interval) for interval in klines.intervals] if klines is not None else []
    if trades is not None:
        series.append(Series(RECENT_TRADES.table, symbol, trades.kind))
    return [Range(it, from_ms, to_ms) for it in series]


def _shown(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":  # in its image, where there is no command `cryptocdc`
    program = typer.Typer()
    register(program)
    program()
