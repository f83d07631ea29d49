"""The command `cryptocdc export`."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cryptocdc_adapters.postgres.identities import source_in_use
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.program.exits import BadInput, Exit, fail, stop_event
from cryptocdc_core.program.settings import PostgresSettings, SettingsError
from cryptocdc_core.time import times
from cryptocdc_local.platform import Platform, PlatformError, PlatformSettings
from cryptocdc_local.platform.progress import Steps, shown

if TYPE_CHECKING:
    from cryptocdc_exporter.destination import Destination
    from cryptocdc_exporter.export import Counts, Request
    from cryptocdc_exporter.target import Range, Target


def export(
    feed: Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")],
    out: Annotated[str, typer.Option(metavar="DIR", help="where the files go: a folder, or s3://BUCKET/PATH")],
    stream: Annotated[
        list[str] | None, typer.Option(metavar="STREAM", help="only this stream; may be given several times")
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="only this symbol; may be given several times")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="rows from this time on, in whole hours: ISO 8601, or s or ms since 1970; default: all",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="rows before this time; default: what is proven")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="export each hour once it is proven, until Ctrl-C")] = False,
    unproven: Annotated[bool, typer.Option("--unproven", help="export hours that are not proven as well")] = False,
    decimals: Annotated[
        str, typer.Option(metavar="TYPE", help="decimal, with strings where a value does not fit; or text for all")
    ] = "decimal",
    source: Annotated[
        str | None, typer.Option(help="exchange, simulated or capture; default: the one that the feed ran with")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line instead of text")] = False,
) -> None:
    """Export stored rows as Parquet files, a file for each symbol and hour.

    Files that are there with the same proof are kept. Exits with 1 if an hour was left out because its rows have
    changed since they were proven."""
    parsed = feeds.load(feed)
    if decimals not in ("decimal", "text"):
        raise BadInput(f"--decimals: {decimals!r} is not accepted; accepted: decimal, text")
    for name, given in (("--to", end is not None), ("--unproven", unproven)):
        if follow and given:
            raise BadInput(f"{name}: not accepted with --follow, which exports what is proven, as it is proven")
    first = None if start is None else times.option("--from", start)
    last = None if end is None else times.option("--to", end)
    _set_up()
    from cryptocdc_exporter.export import Request
    from cryptocdc_exporter.places import open_destination
    from cryptocdc_exporter.target import Range, Target, chosen

    wanted = Range(first, last)
    wanted.refuse(times.now_ms())
    streams = chosen(parsed, stream or ())
    try:
        target = Target.from_env(parsed, source_in_use(PostgresSettings.from_env(), parsed, source))
    except SettingsError as error:
        fail(f"{error}\nThese say where the servers are; `cryptocdc up` starts them on this machine", Exit.PLATFORM)
    request = Request(parsed.name, target.source, list(dict.fromkeys(symbol or ())), unproven, text=decimals == "text")
    destination = open_destination(out)
    try:
        _Export(target, streams, wanted, request, destination, as_json).run(follow=follow)
    except OSError as error:
        raise PlatformError(
            f"{destination.name}: {error.strerror or error}",
            "every file there is complete; make room or check the access, and run the command again to continue",
        ) from error
    finally:
        destination.close()


def register(app: typer.Typer) -> None:
    app.command("export")(export)


def export_environment(platform: Platform) -> dict[str, str]:
    """Return the settings of a feed's exporter; installs pyarrow if it is missing. Raises PlatformError."""
    if importlib.util.find_spec("pyarrow") is not None:
        return {}
    return {"PYTHONPATH": str(platform.setup_export())}


def _set_up() -> None:
    """Make pyarrow importable: installed on demand, unless this environment has it."""
    if importlib.util.find_spec("pyarrow") is None:
        with shown(Console(stderr=True)) as steps:
            sys.path.append(str(Platform(PlatformSettings.from_environment()).setup_export(steps)))


class _Export:
    """One export, with its progress and its result on the screen."""

    def __init__(
        self,
        target: Target,
        streams: Any,
        wanted: Range,
        request: Request,
        destination: Destination,
        as_json: bool,
    ) -> None:
        self._target, self._streams, self._wanted, self._request = target, streams, wanted, request
        self._destination, self._as_json = destination, as_json
        self._stop = stop_event()

    def run(self, *, follow: bool) -> None:
        from cryptocdc_exporter.export import Stopped
        from cryptocdc_exporter.run import ExportError

        try:
            with shown(Console(stderr=True)) as steps:
                counts = self._follow(steps) if follow else self._once(steps)
        except Stopped:
            Console(stderr=True).print("stopped; every file is complete, and the same command continues")
            raise typer.Exit(Exit.UNEQUAL) from None
        except ExportError as error:
            raise PlatformError(str(error), "run `cryptocdc status` to see what runs") from error
        if not follow:
            self._show(counts)
            if any(one.changed for one in counts.values()):
                raise typer.Exit(Exit.UNEQUAL)

    def _once(self, steps: Steps) -> Mapping[str, Counts]:
        from cryptocdc_exporter.run import export_range

        began = time.monotonic()
        steps.begin("exporting")
        counts = export_range(
            self._target, self._streams, self._wanted, self._request, self._destination,
            _progress(steps, began), self._stop,
        )  # fmt: skip
        rows, seconds = sum(one.rows for one in counts.values()), time.monotonic() - began
        steps.done("exporting", f"{rows:,} rows, {rows / max(seconds, 0.001):,.0f} per second")
        return counts

    def _follow(self, steps: Steps) -> Mapping[str, Counts]:
        """Show what each pass has written."""
        from cryptocdc_exporter.run import follow

        shown_files = -1
        counts: Mapping[str, Counts] = {}

        def passed(now: Mapping[str, Counts]) -> None:
            nonlocal shown_files, counts
            counts, files = now, sum(one.files for one in now.values())
            steps.update("following", f"{files:,} files")
            if files != shown_files:
                shown_files = files
                self._show(now)

        steps.begin("following")
        follow(
            self._target, self._streams, self._wanted.start, self._request, self._destination,
            _progress(steps, time.monotonic(), "following"), self._stop, passed,
        )  # fmt: skip
        steps.done("following", "stopped; the same command continues")
        return counts

    def _show(self, counts: Mapping[str, Counts]) -> None:
        if self._as_json:
            print(json.dumps(self._document(counts)), flush=True)
            return
        for table, one in counts.items():
            notes = [
                f"{count:,} {what}"
                for count, what in ((one.present, "hours were there"), (one.unproven, "hours are unproven"))
                if count
            ]
            notes += [f"strings: {', '.join(sorted(one.text))}"] if one.text else []
            more = f" ({'; '.join(notes)})" if notes else ""
            print(f"{table}: {one.files:,} files, {one.rows:,} rows, {one.bytes / 1e6:,.1f} MB{more}", flush=True)
            for hour in one.changed:
                print(f"{table}: left out {hour}: its rows have changed since they were proven", flush=True)

    def _document(self, counts: Mapping[str, Counts]) -> dict[str, Any]:
        return {
            "feed": self._request.feed,
            "source": self._request.source,
            "out": self._destination.name,
            "streams": {
                table: {
                    "files": one.files, "rows": one.rows, "bytes": one.bytes, "hours_present": one.present,
                    "hours_unproven": one.unproven, "hours_changed": one.changed, "text_columns": sorted(one.text),
                }
                for table, one in counts.items()
            },
        }  # fmt: skip


def _progress(steps: Steps, began: float, step: str = "exporting") -> Any:
    def say(table: str, rows: int) -> None:
        rate = rows / max(0.1, time.monotonic() - began)
        steps.update(step, f"{table}: {rows:,} rows, {rate:,.0f} per second")

    return say
