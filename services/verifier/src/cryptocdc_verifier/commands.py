"""The verifier's subcommand of `cryptocdc`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import psycopg2
import typer
from rich.console import Console

from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.program.exits import BadInput, Exit, fail
from cryptocdc_core.program.settings import PostgresSettings, SettingsError
from cryptocdc_core.time import times
from cryptocdc_verifier.screen import progress, show
from cryptocdc_verifier.target import Target, VerifyError
from cryptocdc_verifier.verify import verify

EXPLAINED = 20


def run(
    feed: Annotated[Path, typer.Option("--feed", "-f", help="the feed's YAML file")],
    source: Annotated[
        str | None,
        typer.Option(help="exchange, simulated or capture; default: the one that the feed ran with"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="compare rows from this time on: ISO 8601, or s or ms since 1970"),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="compare rows before this time")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line instead of a table")] = False,
    explained: Annotated[
        bool, typer.Option("--explain", help="show differing keys: both values and the likely cause")
    ] = False,
    repairing: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="send rows that are missing or different through the pipeline again, where that is harmless",
        ),
    ] = False,
) -> None:
    """Compare PostgreSQL with Cassandra, row by row. Exits with 0 only if both are equal, with --repair afterwards."""
    try:
        parsed = feeds.load(feed)
        first = None if start is None else times.option("--from", start)
        last = None if end is None else times.option("--to", end)
        if first is not None and last is not None and first >= last:
            raise feeds.FeedError([f"--to: {end!r} is not accepted; accepted: a time after --from"])
        target = Target.from_env(parsed, source_in_use(PostgresSettings.from_env(), parsed, source))
    except SettingsError as error:
        fail(f"{error}\nThese say where the servers are; `cryptocdc up` starts them on this machine", Exit.PLATFORM)
    except BadInput as error:
        fail(error, Exit.BAD_INPUT)
    except psycopg2.OperationalError as error:
        fail(f"PostgreSQL: {' '.join(str(error).split())}", Exit.PLATFORM)
    errors = Console(stderr=True)
    try:
        with progress(errors) as say:
            report = verify(target, first, last, explained=EXPLAINED if explained else 0, repairing=repairing, say=say)
    except VerifyError as error:
        fail(error, Exit.PLATFORM)
    if as_json:
        sys.stdout.write(json.dumps(report.to_json()) + "\n")
    else:
        show(report, Console())
    if not report.equal:
        raise typer.Exit(Exit.UNEQUAL)


def register(app: typer.Typer) -> None:
    app.command("verify")(run)


if __name__ == "__main__":  # in its image, where there is no command `cryptocdc`
    program = typer.Typer()
    register(program)
    program()
