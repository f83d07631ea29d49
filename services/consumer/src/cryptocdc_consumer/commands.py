"""The consumer's subcommands of `cryptocdc`: dead letters."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_consumer.pending import PendingDeadLetter, ReplayError, pending, replay
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.names import SUFFIXES, Names, identity
from cryptocdc_core.program.exits import Exit, fail
from cryptocdc_core.program.settings import KafkaSettings, PostgresSettings, SettingsError

SHOWN_BYTES = 60

Feed = Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")]
Source = Annotated[str | None, typer.Option(help=f"{', '.join(SUFFIXES)}; default: the one that the feed ran with")]
Json = Annotated[bool, typer.Option("--json", help="one JSON line instead of a table")]


def register(app: typer.Typer) -> None:
    """Add `dlq` to `app`."""
    dlq = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be written.")
    dlq.command("list")(show)
    dlq.command("replay")(put_back)
    app.add_typer(dlq, name="dlq")


def show(feed: Feed, source: Source = None, as_json: Json = False) -> None:
    """List the dead letters that have not been replayed."""
    with _errors_reported():
        names = _names(feed, source)
        letters = pending(KafkaSettings.from_env(), names)
    if as_json:
        rows = [_json(letter) for letter in letters]
        sys.stdout.write(json.dumps({"feed": names.fid, "pending": len(rows), "letters": rows}) + "\n")
        return
    if not letters:
        typer.echo(f"{names.fid}: no dead letters are pending")
        return
    table = Table("reason", "topic", "partition", "offset", "key", "first bytes")
    for letter in letters:
        table.add_row(
            letter.reason, letter.topic, str(letter.partition), str(letter.offset), _text(letter.key),
            _text(letter.value),
        )  # fmt: skip
    Console().print(table)
    typer.echo(f"{len(letters)} pending; retry them with `cryptocdc dlq replay`")


def put_back(feed: Feed, source: Source = None, as_json: Json = False) -> None:
    """Put every pending dead letter back into its topic, so that the consumers retry it. Exit code 1 if some were
    skipped since their topic is gone."""
    with _errors_reported():
        names = _names(feed, source)
        done = replay(KafkaSettings.from_env(), names)
    if as_json:
        counts = {"feed": names.fid, "replayed": done.replayed, "foreign": done.foreign, "gone": done.gone}
        sys.stdout.write(json.dumps(counts) + "\n")
    else:
        typer.echo(f"{names.fid}: {done.replayed} replayed")
        if done.foreign:
            typer.echo(f"{done.foreign} records without a dead letter's headers were skipped")
        for topic, count in done.gone.items():
            typer.echo(f"{count} of {topic} were skipped: the topic, or their partition of it, no longer exists")
    if done.gone:
        raise typer.Exit(Exit.UNEQUAL)


def _names(path: Path, source: str | None) -> Names:
    """Return the feed's names. Raises FeedError, SettingsError, and psycopg2.Error, which the command explains."""
    feed = feeds.load(path)
    return Names(identity(feed.name, source_in_use(PostgresSettings.from_env(), feed, source)))


@contextmanager
def _errors_reported() -> Iterator[None]:
    """Turn known exceptions into a message and an exit code."""
    try:
        yield
    except feeds.FeedError as error:
        fail(error, Exit.BAD_INPUT)
    except SettingsError as error:
        fail(f"{error}\n  → `cryptocdc up` starts the servers of this machine and shows where they are", Exit.PLATFORM)
    except KafkaException as error:
        fail(f"Kafka: {error.args[0].str()}\n  → `cryptocdc status` shows what runs", Exit.PLATFORM)
    except ReplayError as error:
        fail(f"Kafka: {error}\n  → the dead letters stay pending; try again", Exit.PLATFORM)


def _json(letter: PendingDeadLetter) -> dict[str, object]:
    return {
        "reason": letter.reason, "topic": letter.topic, "partition": letter.partition, "offset": letter.offset,
        "key": _text(letter.key), "value": _text(letter.value), "bytes": len(letter.value or b""),
    }  # fmt: skip


def _text(raw: bytes | None) -> str:
    """Return the first bytes as printable text."""
    if raw is None:
        return "–"
    cut = raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in cut) + ("…" if len(raw) > SHOWN_BYTES else "")


if __name__ == "__main__":  # in its image, where there is no command `cryptocdc`
    program = typer.Typer()
    register(program)
    program()
