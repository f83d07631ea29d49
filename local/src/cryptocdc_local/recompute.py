"""The command `cryptocdc analyze recompute`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cassandra import DriverException, InvalidRequest
from rich.console import Console

from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, expiry_margin_ms, retention_s
from cryptocdc_core.names import Names, identity
from cryptocdc_core.program.exits import Exit, fail
from cryptocdc_core.program.settings import CassandraSettings, PostgresSettings, SettingsError
from cryptocdc_core.time import times
from cryptocdc_local.platform import Platform, PlatformError, PlatformSettings
from cryptocdc_local.platform.installation.java import VERSION, find_java
from cryptocdc_local.platform.progress import shown
from cryptocdc_local.running.sink import session_environment
from cryptocdc_spark.settings import SessionSettings

if TYPE_CHECKING:
    from cryptocdc_spark.recompute.extents import Range
    from cryptocdc_spark.recompute.output import Counts
    from cryptocdc_spark.recompute.run import Request, Tables


def recompute(
    feed: Annotated[Path, typer.Option("--feed", "-f", help="the feed's YAML file")],
    start: Annotated[
        str,
        typer.Option("--from", metavar="TIME", help="whole windows from this time on: ISO 8601, or s or ms since 1970"),
    ],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="whole windows that end by this time")],
    symbols: Annotated[list[str] | None, typer.Option("--symbol", help="only this symbol; can be repeated")] = None,
    engine: Annotated[str, typer.Option(help="what computes: spark")] = "spark",
    rows: Annotated[
        Path | None, typer.Option(help="read Parquet files of this folder instead of Cassandra (docs/analytics.md)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write Parquet files to this folder instead of Cassandra")] = None,
    master: Annotated[
        str, typer.Option(help="where Spark's tasks run: local[N] is N cores of this machine, or spark://HOST:PORT")
    ] = "local[*]",
    source: Annotated[
        str | None,
        typer.Option(help="exchange, simulated or capture; default: the one that the feed ran with"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line instead of a sentence")] = False,
) -> None:
    """Compute a feed's bars, volatility, figures of order books, anomalies and forecasts again, by Spark.

    Reads the rows stored in Cassandra or Parquet files, and writes there. Exits with 1 if a row could not be written.
    """
    # Takes two seconds, which other commands don't wait for.
    from cryptocdc_spark.recompute.extents import Range, analytics_of, extents
    from cryptocdc_spark.recompute.run import Request, SparkFailed, run, source_of

    parsed = feeds.load(feed)
    analytics = analytics_of(parsed, engine)
    wanted = Range(times.option("--from", start), times.option("--to", end))
    extents(analytics, wanted)  # refuses the range before anything is connected to
    tables = None if rows is not None and out is not None else _tables(parsed, source)
    symbols = list(dict.fromkeys(symbols or ()))
    request = Request(extents(analytics, wanted, _least_ms(tables, rows)), symbols, tables, rows, out)
    if find_java() is None:
        raise PlatformError(f"Spark needs Java {VERSION}, and there is none", "install it, or set JAVA_HOME to it")
    platform = Platform(PlatformSettings.from_environment())
    with shown(Console(stderr=True)) as steps:
        steps.begin("stored rows")
        with _explained():
            stored = source_of(request)
        steps.done("stored rows")
        environment = session_environment(platform.setup_spark(steps))
        _use(environment)
        own = SessionSettings.from_env(os.environ | {SessionSettings.variable("spark_master"): master})
        steps.begin("recomputing")
        try:
            done = run(request, stored, own, lambda text: steps.update("recomputing", text))
        except SparkFailed as error:
            raise PlatformError(f"Spark: {error}", "docs/analytics.md describes what a job needs") from error
        steps.done("recomputing", f"{sum(counts.rows for counts in done.values()):,} rows")
    if as_json:
        print(json.dumps(_answer(parsed, wanted, request, done)), flush=True)
    else:
        print(_sentence(request, done), flush=True)
    if any(counts.refused for counts in done.values()):
        raise typer.Exit(Exit.UNEQUAL)


def register(app: typer.Typer) -> None:
    """Add the subcommand to `app`."""
    analyze = typer.Typer(no_args_is_help=True, help="Work on computed tables.")
    analyze.callback()(_analyze)
    analyze.command("recompute")(recompute)
    app.add_typer(analyze, name="analyze")


def _analyze() -> None:
    """Work on computed tables."""


def _tables(feed: CryptoFeed, source: str | None) -> Tables:
    from cryptocdc_spark.recompute.run import Tables

    try:
        postgres, cassandra = PostgresSettings.from_env(), CassandraSettings.from_env()
    except SettingsError as error:
        fail(f"{error}\nThese say where the servers are; `cryptocdc up` starts them on this machine", Exit.PLATFORM)
    names = Names(identity(feed.name, source_in_use(postgres, feed, source)))
    return Tables(cassandra, names.keyspace, retention_s(feed.spec.retention.cassandra))


def _least_ms(tables: Tables | None, rows: Path | None) -> int:
    """Return since when no stored row has expired, or will while it is read; 0 if none ever does."""
    if rows is not None or tables is None or tables.retention_s is None:
        return 0
    return times.now_ms() - tables.retention_s * 1000 + expiry_margin_ms(tables.retention_s)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except InvalidRequest as error:
        raise PlatformError(f"Cassandra: {error}", "apply the feed first: `cryptocdc apply`") from error
    except DriverException as error:
        raise PlatformError(f"Cassandra: {error}", "run `cryptocdc status` to see what runs") from error


def _use(environment: Mapping[str, str]) -> None:
    """Make PySpark's package importable, here and in the processes that Spark starts."""
    packages, before = environment["PYTHONPATH"], os.environ.get("PYTHONPATH")
    os.environ |= {**environment, "PYTHONPATH": f"{packages}{os.pathsep}{before}" if before else packages}
    sys.path.append(packages)


def _answer(feed: CryptoFeed, wanted: Range, request: Request, done: Mapping[str, Counts]) -> dict[str, Any]:
    return {
        "feed": feed.name,
        "keyspace": None if request.tables is None else request.tables.keyspace,
        "window": {"from": times.iso(wanted.start_ms), "to": times.iso(wanted.end_ms)},
        "out": None if request.out is None else str(request.out),
        "tables": {table: asdict(counts) for table, counts in done.items()},
    }


def _sentence(request: Request, done: Mapping[str, Counts]) -> str:
    parts = []
    for table, counts in done.items():
        left_out = [f"{count:,} {why}" for why, count in (("expired", counts.expired), ("refused", counts.refused))
                    if count]  # fmt: skip
        parts.append(f"{table} {counts.rows:,}" + (f" ({', '.join(left_out)})" if left_out else ""))
    where = f"to {request.out}" if request.tables is None or request.out else f"into {request.tables.keyspace}"
    return f"rows written {where}: {', '.join(parts)}"
