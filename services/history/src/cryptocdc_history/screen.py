"""Shows what is planned, how far loading has come, and the list of files."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich import progress
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.time import times
from cryptocdc_history.result import Result
from cryptocdc_producer.archive.load import Progress as LoadProgress
from cryptocdc_producer.archive.plan import Hole, with_holes
from cryptocdc_producer.rest.ranges import label

_STYLES = {"proven": "green", "loaded": "cyan", "quarantined": "red", "absent": "dim"}
_MIB = 1 << 20
_MINUTE = 60_000


class Progress:
    """The screen of `history load`, on standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f} {task.fields[unit]}"),
            progress.TextColumn("{task.fields[note]}"),
            progress.TimeRemainingColumn(),
            console=console,
        )
        self._survey: progress.TaskID | None = None
        self._rows: progress.TaskID | None = None
        self._bytes: progress.TaskID | None = None
        self._parts: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def asked(self, done: int, of: int) -> None:
        if self._survey is None:
            self._survey = self._bars.add_task("asking the archive", total=of, unit="files", note="")
        self._bars.update(self._survey, completed=done, total=of)

    def planned(self, result: Result) -> None:
        items = result.survey.items
        skipped = len(result.survey.records) - len(items)
        self._console.print(
            f"{len(items):,} files, {result.survey.bytes / _MIB:,.0f} MiB, about {result.estimated:,} rows;"
            f" {skipped:,} files are proven already or not in the archive"
        )
        for note in result.notes():
            self._console.print(f"[yellow]{note}", highlight=False)
        if result.only_plan or not items:
            return
        self._bytes = self._bars.add_task("downloaded", total=result.survey.bytes / _MIB, unit="MiB", note="")
        self._rows = self._bars.add_task("sent to Kafka", total=result.estimated, unit="rows", note="")

    def loading(self) -> LoadProgress:
        def sent(path: str, rows: int) -> None:
            if self._rows is not None:
                self._bars.update(self._rows, advance=rows, note=path.rpartition("/")[2])

        def downloaded(_path: str, count: int) -> None:
            if self._bytes is not None:
                self._bars.update(self._bytes, advance=count / _MIB)

        def ended(record: HistoryFile) -> None:
            if record.state in ("quarantined", "absent", "planned"):
                self._console.print(
                    f"[red]{record.state}[/red] {record.path}: {escape(record.reason)}", highlight=False
                )

        return LoadProgress(downloaded, sent, ended)

    def proving(self, count: int) -> None:
        if self._rows is not None:
            self._bars.update(self._rows, note=f"waiting for consumers, then proving {count:,} files")

    def proven(self, record: HistoryFile) -> None:
        if record.state != "proven":
            self._say("not equal", record)

    def fetching(self, record: HistoryFile, rows: int, through_ms: int) -> None:
        if record.path not in self._parts:
            self._parts[record.path] = self._bars.add_task(
                f"{record.symbol} {label(record.table_name, record.kind)} over REST", total=0, unit="minutes", note=""
            )
        begin, end = record.start_ms, record.end_ms
        self._bars.update(
            self._parts[record.path], total=(end - begin) / _MINUTE, note=f"{rows:,} rows",
            completed=(min(max(through_ms, begin), end) - begin) / _MINUTE,
        )  # fmt: skip

    def fetched(self, record: HistoryFile) -> None:
        if record.state != "loaded":
            self._say(record.state, record)

    def _say(self, what: str, record: HistoryFile) -> None:
        self._console.print(f"[red]{what}[/red] {record.path}: {escape(record.reason)}", highlight=False)


def listing(records: Sequence[HistoryFile]) -> list[dict[str, Any]]:
    """Return the files as JSON has them."""
    found = []
    for it, between in _with_holes(records):
        found.append(
            {
                "path": it.path,
                "table": it.table_name,
                "symbol": it.symbol,
                "kind": it.kind,
                "from": times.iso(it.start_ms),
                "to": times.iso(it.end_ms),
                "state": it.state,
                "reason": it.reason,
                "bytes": it.bytes,
                "sha256": it.checksum,
                "rows": it.rows,
                "repeated": it.repeated,
                "missing": it.missing,
                "holes": it.holes,
                "missing_before": 0 if between is None else between[2],
                "only_in_cassandra": it.extra,
            }
        )
    return found


def show(records: Sequence[HistoryFile], console: Console) -> None:
    """Print the files as a table."""
    if not records:
        console.print("no files: `cryptocdc history load` loads some")
        return
    table = Table(box=SIMPLE)
    for heading in ("file", "state", "rows", "remarks"):
        table.add_column(heading, justify="right" if heading == "rows" else "left", overflow="fold")
    for it, between in _with_holes(records):
        style = _STYLES.get(it.state, "yellow")
        rows = "" if it.rows is None else f"{it.rows:,}"
        table.add_row(_name(it), f"[{style}]{it.state}[/]", rows, escape("; ".join(_remarks(it, between))))
    console.print(table)


def _with_holes(records: Sequence[HistoryFile]) -> list[tuple[HistoryFile, Hole | None]]:
    """Return each file with the hole before it; parts over REST, whose ids are not recorded, after those."""
    files = with_holes(it for it in records if not it.over_rest)
    return [*files, *((it, None) for it in records if it.over_rest)]


def _name(it: HistoryFile) -> str:
    if not it.over_rest:
        return it.path.rpartition("/")[2]
    shown = f"{it.symbol} {label(it.table_name, it.kind)} over REST"
    return f"{shown}, {times.iso(it.start_ms)[:16]} to {times.iso(it.end_ms)[:16]}"


def _remarks(it: HistoryFile, between: Hole | None) -> list[str]:
    of = "candles" if it.table_name == KLINES.table else "ids"
    shown = times.iso if it.table_name == KLINES.table else str
    found = [it.reason] if it.reason else []
    if between is not None:
        first, last, count = between
        found.append(f"the archive lacks {count:,} {of} before it: {shown(first)} to {shown(last)}")
    if it.missing:
        found.append(f"the archive lacks {it.missing:,} {of} in it: {it.holes}")
    if it.repeated:
        found.append(f"lines that are there twice: {it.repeated:,}")
    return found
