"""Shows a verification on the terminal: progress while it runs, then the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.status import Status
from rich.table import Table

from cryptocdc_verifier.report import Report
from cryptocdc_verifier.verify import Say

_QUIET_S = 2.0


@contextmanager
def progress(console: Console) -> Iterator[Say]:
    """Yield a callback for the verification's progress, which is shown once it takes longer than two seconds."""
    started = time.monotonic()
    status: Status | None = None

    def say(what: str, rows: int) -> None:
        nonlocal status
        if time.monotonic() - started < _QUIET_S and status is None:
            return
        text = f"{what}: {rows:,} rows, {rows / max(0.1, time.monotonic() - started):,.0f} per second"
        if status is None:
            status = console.status(text)
            status.start()
        else:
            status.update(text)

    try:
        yield say
    finally:
        if status is not None:
            status.stop()


def show(report: Report, console: Console) -> None:
    document = report.to_json()
    table = Table(title=f"{report.feed}, {report.source}: PostgreSQL and Cassandra", title_justify="left", box=SIMPLE)
    table.add_column("table", no_wrap=True)
    for heading in ("rows", "missing", "extra", "different"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("proven through, UTC", no_wrap=True)
    for name, found in document["tables"].items():
        counts = [found["missing"], found["extra"], found["different"]]
        table.add_row(
            name,
            f"{found['rows']:,}",
            *(f"[red]{count:,}[/red]" if count else "0" for count in counts),
            found["proven_through"][:19].replace("T", " "),
        )
    console.print(table)
    console.print(f"window {document['window']['from']} to {document['window']['to']}")
    if report.quarantined:
        names = ", ".join(f"{symbol} {count}" for symbol, count in report.quarantined_symbols.items())
        console.print(
            f"[yellow]quarantined: {report.quarantined} dead letters are waiting for a replay ({names})[/yellow]"
        )
    if "repair" in document:
        _show_repairs(document["repair"], console)
    for at in report.keys or []:
        _show_key(at, console)
    if report.equal:
        console.print(f"[green]equal[/green]: {report.rows:,} rows")
    else:
        console.print(f"[red]not equal[/red]: {report.reason}")


def _show_repairs(repair: dict[str, Any], console: Console) -> None:
    console.print(f"repaired {repair['repaired']:,} rows, left {repair['left']:,}")
    for name, found in repair["tables"].items():
        for cause, count in found["causes"].items():
            console.print(f"  {name}: {count:,} repaired, cause {cause}")
        for left in found["left"]:
            console.print(f"  [yellow]{name}: {left['rows']:,} left[/yellow], cause {left['cause']}: {left['why']}")
        if "repairable_from" in found:
            console.print(f"  {name}: repair again after {found['repairable_from']}")


def _show_key(at: dict[str, object], console: Console) -> None:
    key = at["key"]
    assert isinstance(key, dict)
    console.print(f"\n[bold]{at['kind']}[/bold] {at['table']} {', '.join(f'{k}={v}' for k, v in key.items())}")
    console.print(f"  likely cause: {at['cause']}")
    ours, theirs = at["postgres"], at["cassandra"]
    values = Table("column", "PostgreSQL", "Cassandra", box=None, padding=(0, 2))
    differing = at["columns"]
    assert isinstance(differing, list)
    for name in ours if isinstance(ours, dict) else theirs if isinstance(theirs, dict) else ():
        left = ours[name] if isinstance(ours, dict) else "–"
        right = theirs[name] if isinstance(theirs, dict) else "–"
        style = "red" if name in differing else None
        values.add_row(name, *("–" if value is None else str(value) for value in (left, right)), style=style)
    console.print(values)
    audit = at["audit"]
    if isinstance(audit, dict) and audit:
        console.print("  audit: " + ", ".join(f"{k} {v}" for k, v in audit.items()))
    times = at["writetime"]
    if isinstance(times, dict) and times:
        console.print("  writetime: " + ", ".join(f"{k} {v}" for k, v in times.items()))
    sent = at["sent"]
    if isinstance(sent, list) and sent:
        console.print(f"  in Kafka: {'; '.join(sent)}")
