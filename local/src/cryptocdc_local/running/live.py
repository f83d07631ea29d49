"""The live table of `cryptocdc run` and `cryptocdc status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cryptocdc_adapters.metrics.figures import FeedFigures, StreamFigures
from cryptocdc_local.feeds import AppliedFeed
from cryptocdc_local.platform import ServerStatus

NAMED = 5
"""Maximum number of symbols named in the title."""
STALLED_S = 5.0
"""Writes take milliseconds: after this time without an acknowledgement a warning is shown."""
WIDE = 122
"""Terminal width in columns from which a rate is shown next to its count instead of below it."""


def feed_table(applied: AppliedFeed, figures: FeedFigures, note: str, now: float) -> RenderableType:
    """Render one feed: rows and rate by stream and hop, lag, latency, proof; below, gaps, dead letters, refusals."""
    return Group(_StreamTable(_title(applied, figures), figures, now), _footer(applied, figures, note))


@dataclass(frozen=True)
class _StreamTable:
    """A table that also fits a terminal of 80 columns."""

    title: Text
    figures: FeedFigures
    now: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= WIDE
        padding = (0, 1) if wide else (0, 0)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=padding, title=self.title, title_justify="left")
        table.add_column("stream", no_wrap=True)
        for name in ("exchange", "PostgreSQL", "Kafka", "Cassandra"):
            table.add_column(f"{name}\n{'rows   rows/s' if wide else 'rows /s'}", justify="right", no_wrap=True)
        table.add_column("\nlag", justify="right", no_wrap=True)
        latency = "event → ack\np50      p99" if wide else "→ ack\np50 p99"
        table.add_column(latency, justify="right", no_wrap=True)
        table.add_column("proof\nbehind", justify="right", no_wrap=True)
        for name, stream in self.figures.streams.items():
            table.add_row(name, *_cells(stream, self.now, wide))
        if len(self.figures.streams) > 1:
            table.add_row("all", *_sums(list(self.figures.streams.values()), wide), "", "", style="bold")
        yield table


def _title(applied: AppliedFeed, figures: FeedFigures) -> Text:
    text = Text(f"{applied.feed.name}", style="bold")
    if applied.source == "exchange":
        text.append(f"  {applied.feed.spec.exchange}", style="green")
    else:
        label = "SIMULATED DATA" if applied.source == "simulated" else "REPLAYED CAPTURE"
        text.append(f"  {label}", style="bold black on yellow")
    text.append(f"  {figures.symbols} symbols captured", style="default")
    markets = markets_shown(applied, figures)
    for label, symbols in (("paused", markets["halted"]), ("not listed yet", markets["waiting"])):
        if symbols:
            more = f" and {len(symbols) - NAMED} more" if len(symbols) > NAMED else ""
            text.append(f"  {label}: {', '.join(symbols[:NAMED])}{more}", style="yellow")
    if applied.feed.spec.sink.engine != "consumer":
        text.append(f"  written by {applied.feed.spec.sink.engine}", style="cyan")
    if applied.feed.spec.suspend:
        text.append("  suspended", style="yellow")
    return text


def markets_shown(applied: AppliedFeed, figures: FeedFigures) -> dict[str, list[str]]:
    """Return the symbols whose markets are paused (`halted`) or not listed (`waiting`), as the producers report them,
    or before they have captured anything, as the exchange reported them when the feed was applied."""
    if figures.symbols or figures.halted or figures.waiting:
        return {"halted": sorted(figures.halted), "waiting": sorted(figures.waiting)}
    return {"halted": sorted(applied.halted), "waiting": sorted(applied.waiting)}


def _cells(stream: StreamFigures, now: float, wide: bool) -> list[str]:
    behind_s = stream.proof_behind_s(now)
    return [
        _count(stream.frames, stream.frames_rate, wide),
        _count(stream.postgres, stream.postgres_rate, wide),
        _count(stream.kafka, stream.kafka_rate, wide),
        _count(stream.cassandra, stream.cassandra_rate, wide),
        _short(stream.lag),
        f"{_time(stream.p50)} {_time(stream.p99):>8}" if wide else f"{_time(stream.p50)}\n{_time(stream.p99)}",
        "–" if behind_s is None else f"{behind_s:,.0f} s",
    ]


def _sums(streams: Sequence[StreamFigures], wide: bool) -> list[str]:
    return [
        _count(sum(s.frames for s in streams), sum(s.frames_rate for s in streams), wide),
        _count(sum(s.postgres for s in streams), sum(s.postgres_rate for s in streams), wide),
        _count(sum(s.kafka for s in streams), sum(s.kafka_rate for s in streams), wide),
        _count(sum(s.cassandra for s in streams), sum(s.cassandra_rate for s in streams), wide),
        _short(sum(s.lag for s in streams)),
    ]


def _count(rows: int, rate: float, wide: bool) -> str:
    return f"{_short(rows)} {rate:6,.0f}" if wide else f"{_short(rows)}\n{rate:,.0f}"


def _short(count: int) -> str:
    """Format a count: exact up to 99,999, beyond that in thousands and millions."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e3:,.0f}k" if count < 10_000_000 else f"{count / 1e6:,.1f}M"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _footer(applied: AppliedFeed, figures: FeedFigures, note: str) -> Text:
    parts = [
        ("gaps open", figures.gaps_open, "yellow"),
        *([("gaps waiting", figures.gaps_waiting, "")] if figures.gaps_waiting else []),
        ("rows filled", figures.gap_rows_filled, ""),
        ("unfillable", figures.gap_rows_unfillable, "red"),
        ("dead letters", figures.dead_letters, "red"),
        ("refused frames", figures.rejected, "yellow"),
        ("differences", figures.differences, "red"),
        *([("repaired", figures.repaired, "yellow")] if applied.feed.spec.repair.enabled else []),
    ]
    text = Text()
    for label, value, style in parts:
        text.append(f"{label} {value:,}  ", style=style if value else "")
    if figures.weight_limit:
        text.append(f"request weight {figures.weight_used:,}/{figures.weight_limit:,}")
    if figures.write_stalled_s >= STALLED_S:
        text.append(f"\nCassandra has acknowledged nothing for {figures.write_stalled_s:,.0f} s", style="bold red")
    if figures.repair:
        text.append(f"\nrepair: {figures.repair}", style="yellow")
    if figures.alerts_firing:
        text.append(f"\nalerts firing: {', '.join(figures.alerts_firing)}", style="bold red")
    if note:
        text.append(f"\n{note}", style="yellow")
    return text


def server_table(servers: Sequence[ServerStatus]) -> Table:
    """Render the servers with state, memory and restarts."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("server", "state", "pid", "memory", "restarts"):
        table.add_column(name, justify="left" if name in ("server", "state") else "right")
    for server in servers:
        style = {"running": "green", "dead": "red", "stopped": "dim"}[server.state]
        table.add_row(
            server.name,
            Text(server.state, style=style),
            str(server.pid or ""),
            f"{server.resident / 2**20:,.0f} MiB" if server.resident else "",
            str(server.restarts),
        )
    return table
