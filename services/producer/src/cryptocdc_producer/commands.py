"""The producer's part of the command `cryptocdc`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import psycopg2
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cryptocdc_adapters import postgres
from cryptocdc_adapters.exchange import ExchangeError, ExchangeRefused, Rest
from cryptocdc_adapters.identities import source_in_use
from cryptocdc_core import feed as feeds
from cryptocdc_core.exchanges import exchange_of
from cryptocdc_core.feed import CryptoFeed, FeedError
from cryptocdc_core.metrics import ProducerMetrics
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.plan import streams_of
from cryptocdc_core.settings import ExchangeSettings, PostgresSettings, SettingsError, SimulatorSettings
from cryptocdc_producer.checks import Rejected
from cryptocdc_producer.history import History
from cryptocdc_producer.intake import Intake
from cryptocdc_producer.questions import Questions
from cryptocdc_producer.store import Store
from cryptocdc_producer.writer import Writer

_BAD_INPUT, _PLATFORM = 2, 3


def register(app: typer.Typer) -> None:
    """Add the subcommands to `app`."""
    app.command()(backfill)


def backfill(
    feed: Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")],
    symbol: Annotated[str, typer.Option(help="one symbol, such as BTCUSDT")],
    begin: Annotated[str, typer.Option("--from", help="ISO time (UTC unless it says otherwise) or seconds since 1970")],
    end: Annotated[str, typer.Option("--to", help="the same; what happens at this very moment is left out")],
    source: Annotated[str | None, typer.Option(help="exchange or simulated; the one that the feed ran with")] = None,
) -> None:
    """Fetch trades and closed klines of a stretch of time over REST. What is there already stays as it is."""
    try:
        parsed = feeds.load(feed)
        from_ms, to_ms = _moment("--from", begin), _moment("--to", end)
        if from_ms >= to_ms:
            raise FeedError([f"--to: {end!r} is not accepted; accepted: a time after --from"])
        database = PostgresSettings.from_env()
        used = source_in_use(database, parsed, source)
        if used == "capture":
            raise FeedError(["--source: a capture has no history to ask for; accepted: exchange, simulated"])
        url = os.environ.get("CRYPTOCDC_REST_URL") or _simulator(parsed, used)
    except FeedError as error:
        _fail(str(error), _BAD_INPUT)
    except SettingsError as error:
        _fail(f"{error}\n  → `cryptocdc up` starts the servers of this machine and says where they are", _PLATFORM)
    except psycopg2.Error as error:
        _fail(f"PostgreSQL: {str(error).strip()}\n  → `cryptocdc status` tells what runs", _PLATFORM)
    try:
        asyncio.run(_backfill(parsed, used, url, symbol, from_ms, to_ms, database))
    except ExchangeRefused as refused:
        _fail(f"--symbol {symbol}: {refused}", _BAD_INPUT)
    except (ExchangeError, Rejected) as error:
        _fail(f"exchange: {error}", _PLATFORM)
    except psycopg2.Error as error:
        _fail(f"PostgreSQL: {str(error).strip()}\n  → `cryptocdc apply -f {feed}` makes the feed's tables", _PLATFORM)


def _simulator(feed: CryptoFeed, source: Source) -> str | None:
    """Where the simulator is that a run of `feed` gets its data from; None when that is no simulator."""
    if source != "simulated":
        return None
    own = feed.spec.endpoints.rest if feed.spec.exchange == "simulated" else None
    return own or SimulatorSettings.from_env().rest_url


async def _backfill(
    feed: CryptoFeed, source: Source, url: str | None, symbol: str, from_ms: int, to_ms: int, database: PostgresSettings
) -> None:
    exchange = exchange_of(feed, url)
    names = Names(identity(feed.name, source))
    connect = partial(postgres.connect, database, "backfill")
    stored = Store(names, feed, connect).load([symbol])[symbol]
    metrics = ProducerMetrics("")
    intake = Intake(metrics)
    refused: list[str] = []
    writer = Writer(
        names, streams_of(feed), intake, connect, metrics,
        lambda _, row, problem: refused.append(f"{row}: {problem}"),
    )  # fmt: skip
    rest = Rest(exchange.rest, ExchangeSettings.from_env().api_key, patience_s=300)
    questions = Questions(rest, metrics, lambda _, detail, *rest: refused.append(f"{detail}: {rest[0]!r:.200}"))
    began = time.monotonic()
    taken: dict[str, int] = {}
    writer.start()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} rows"),
        console=Console(stderr=True),
    ) as bars:  # fmt: skip
        tasks: dict[str, TaskID] = {}

        def progress(what: str, rows: int, through_ms: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=to_ms - from_ms, rows=0)
            bars.update(tasks[what], completed=through_ms - from_ms, rows=rows)

        history = History(feed, exchange.historical_trades, symbol, stored, questions, intake, progress)
        try:
            if feed.spec.streams.klines is not None:
                for interval in feed.spec.streams.klines.intervals:
                    taken[f"klines {interval}"] = await history.klines(interval, from_ms, to_ms)
                    progress(f"klines {interval}", taken[f"klines {interval}"], to_ms)
            if feed.spec.streams.recent_trades is not None:
                taken["trades"] = await history.trades(from_ms, to_ms)
                progress("trades", taken["trades"], to_ms)
        finally:
            questions.close()
            intake.close()
            await asyncio.to_thread(writer.finish, None)
    for problem in refused:
        print(f"refused: {problem}", file=sys.stderr)
    rows = ", ".join(f"{count:,} {what}" for what, count in taken.items()) or "nothing that can be had later"
    print(f"{symbol} from {_shown(from_ms)} to {_shown(to_ms)}: {rows}; {time.monotonic() - began:.1f} s")


def _moment(option: str, text: str) -> int:
    """Milliseconds since the epoch. Raises FeedError."""
    if text.isdecimal() and len(text) <= 13:
        return int(text) if len(text) > 11 else int(text) * 1000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise FeedError(
            [f"{option}: {text!r} is not accepted; accepted: a time such as 2026-11-21T08:00:00, or seconds since 1970"]
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _shown(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":  # in its image, where there is no command `cryptocdc`
    program = typer.Typer()
    register(program)
    program()
