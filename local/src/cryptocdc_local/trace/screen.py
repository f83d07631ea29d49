"""Prints a trail on the terminal: one row per hop, with what is known about it."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cryptocdc_core.rows.hops import EXCHANGE, Trail
from cryptocdc_local.trace.follow import End

TITLES = {
    "exchange": "exchange", "producer": "producer", "postgres": "PostgreSQL", "kafka": "Kafka",
    "cassandra": "Cassandra",
}  # fmt: skip
SHOWN_CHARS = 700
"""Characters of a frame that are shown; --json has all of it."""


def show(head: dict[str, Any], trail: Trail, end: End, console: Console) -> None:
    found = trail.to_json()
    key = "  ".join(f"{name} {value}" for name, value in found["key"].items() if name != "symbol")
    simulated = "" if head["source"] == "exchange" else f"  [yellow]{head['source'].upper()} DATA[/yellow]"
    console.print(f"[bold]{head['feed']}[/bold]{simulated}  {found['table']}  {found['symbol']}  {key}")
    table = Table(box=SIMPLE, show_header=True, pad_edge=False)
    table.add_column("hop", no_wrap=True)
    table.add_column("time, UTC", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("details", overflow="fold")
    for hop in found["hops"]:
        at = "–" if hop["at"] is None else hop["at"][11:-1]
        after = "" if hop["after_ms"] is None else f"{hop['after_ms']:+,.1f} ms"
        table.add_row(TITLES[hop["hop"]], at, after, "\n".join(_lines(hop)))
    console.print(table)
    if trail.compared:
        same = "[red]differ" if trail.differing else "[green]equal digit by digit"
        places = ", ".join(TITLES[name] if name != EXCHANGE else "frame" for name in trail.compared)
        console.print(f"{same if len(trail.compared) > 1 else 'only in'}[/]: {places}" if len(trail.compared) > 1
                      else f"only in {places}")  # fmt: skip
    for place, columns in trail.differing.items():
        console.print(f"  [red]{TITLES[place]}: {', '.join(columns)}")
    if trail.took_ms is not None:
        console.print(f"{trail.took_ms:,.1f} ms from the exchange's event to the write")
    if end.reason:
        where = f"ends at {TITLES[end.at]}: " if end.at else ""
        console.print(f"[red]{where}{escape(end.reason)}")


def _lines(hop: dict[str, Any]) -> list[str]:
    facts = dict(hop["facts"])
    frame = facts.pop("frame", None)
    lines = [escape("  ".join(f"{name} {value}" for name, value in facts.items()))] if facts else []
    if frame is not None:
        cut = frame if len(frame) <= SHOWN_CHARS else frame[:SHOWN_CHARS] + "…"
        lines.append(f"[dim]{escape(cut)}[/dim]")
    if hop["source"]:
        lines.append(f"[dim]from {escape(hop['source'])}[/dim]")
    if hop["note"]:
        lines.append(f"[yellow]{escape(hop['note'])}[/yellow]")
    return lines
