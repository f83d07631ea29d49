"""The runner's own subcommands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live

from cryptocdc_adapters.metrics.figures import FeedFigures
from cryptocdc_adapters.metrics.readings import Readings
from cryptocdc_control.programs import workloads
from cryptocdc_core.feed.model import load
from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_local import applier
from cryptocdc_local.feeds import AppliedFeed, FeedStore
from cryptocdc_local.platform import HaltError, Platform, PlatformError, PlatformSettings
from cryptocdc_local.platform.progress import shown
from cryptocdc_local.running import claim, run
from cryptocdc_local.running.counting import count_rows
from cryptocdc_local.running.draining import drain
from cryptocdc_local.running.exchange_choice import Chosen, answering, choose
from cryptocdc_local.running.live import feed_table, markets_shown, server_table
from cryptocdc_local.running.page import has_screen, open_when_ready
from cryptocdc_local.running.programs import stop_left_over
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.sink import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

Feed = Annotated[Path, typer.Option("-f", "--feed", help="the feed's YAML file")]
Source = Annotated[
    str | None,
    typer.Option(help="exchange, simulated or capture:DIR; default: the exchange if it answers, else simulated"),
]
Json = Annotated[bool, typer.Option("--json", help="one JSON line instead of a table")]

REFRESH_S = 1.0
CAPTURE_LIMIT_S = 600.0
START_LIMIT_S = 60.0
"""Time for the programs to receive the first frame, on a busy machine."""


def register(app: typer.Typer) -> None:
    """Add the subcommands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command("run")(run_feed)
    app.command()(apply)
    app.command()(delete)
    app.command()(plan)
    app.command()(status)


def _platform() -> Platform:
    return Platform(PlatformSettings.from_environment())


def _running_platform() -> Platform:
    platform = _platform()
    if not platform.is_running():
        down = ", ".join(s.name for s in platform.status() if s.state != "running")
        raise PlatformError(f"not running: {down}", "run `cryptocdc up` to start the servers")
    return platform


def _store(platform: Platform) -> FeedStore:
    return FeedStore(platform.settings.home, platform.account)


def up() -> None:
    """Start PostgreSQL, Kafka, Connect and Cassandra and leave them running."""
    console = Console(stderr=True)
    with shown(console) as steps:
        _platform().start(steps)
    console.print("running; stop them with `cryptocdc down`")


def down() -> None:
    """Stop all programs and servers of this machine's home folder. The data stays."""
    console = Console(stderr=True)
    platform = _platform()
    for fid in claim.end(platform.settings.run):
        console.print(f"{fid}: run stopped")
    for name in stop_left_over(platform.settings):
        console.print(f"{name}: stopped")
    with shown(console) as steps:
        platform.stop(steps)


def run_feed(
    feed: Feed,
    source: Source = None,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="capture for this many seconds, then drain, verify and exit")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start everything, capture, show live figures. Ctrl-C stops it cleanly.

    With --for, it stops capturing after that many seconds, waits until everything is in Cassandra, verifies, and exits
    with 0 only if nothing is missing. With --source capture:DIR, it ends when the capture does.
    """
    document = run.read_document(feed)
    parsed = load(feed)
    console = Console(stderr=True)
    began = time.monotonic()
    chosen = choose(parsed, source)
    if chosen.note:
        console.print(f"[yellow]{chosen.note}")
    platform = _platform()
    leave_running = platform.is_running()
    ends = bool(seconds or chosen.capture)
    with _interrupted_once():
        try:
            with contextlib.ExitStack() as stack:
                with shown(console) as steps:
                    it = stack.enter_context(
                        run.started(platform, document, chosen, steps, lambda step: console.print(f"[dim]{step}"))
                    )
                _print_notes(console, it.applied)
                console.print(f"live page: {it.address}  API: {it.address}/docs")
                if not ends and console.is_terminal and has_screen():
                    open_when_ready(it.address)
                _watch(it, console, seconds, as_json, began)
                if ends:
                    _finish(it, console, as_json)
        except HaltError:
            leave_running = False
            raise
        except KeyboardInterrupt:
            console.print("stopped; the data stays, and the next run continues from here")
            if ends:
                # Nothing was proven, so a script that asked for proof must not see success.
                raise typer.Exit(Exit.UNEQUAL) from None
        finally:
            if not leave_running:
                with shown(console) as steps:
                    platform.stop(steps)


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM or the end of the terminal stop a run, once. Later signals are ignored while it stops: an
    impatient second Ctrl-C would leave half of the programs running."""

    def interrupt(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGHUP:
            # Nobody reads the output any more, and writing to a closed terminal would fail while stopping.
            nowhere = os.open(os.devnull, os.O_RDWR)
            for output in (1, 2):
                os.dup2(nowhere, output)
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A signal that is ignored, as by nohup, stays ignored.
    before = {number: old for number in signals if (old := signal.getsignal(number)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(it: run.Run, console: Console, seconds: float | None, as_json: bool, began: float) -> None:
    """Show the live figures until the time is up, the capture has ended, or the user interrupts.

    The time counts from the first frame, or from START_LIMIT_S if there is none.
    """
    limit = seconds or (CAPTURE_LIMIT_S if it.chosen.capture is not None else None)
    deadline = None if limit is None else time.monotonic() + START_LIMIT_S + limit
    first_row_said = captures = False
    repair = ""
    quiet = as_json or not console.is_terminal
    with Live(console=console, auto_refresh=False, screen=False, transient=False) as live:
        while deadline is None or time.monotonic() < deadline:
            if it.halted is not None:
                raise it.halted
            figures = it.figures()
            if limit is not None and not captures and any(s.frames for s in figures.streams.values()):
                captures = True
                deadline = time.monotonic() + limit
            if not first_row_said and any(s.cassandra for s in figures.streams.values()):
                first_row_said = True
                console.print(f"first row in Cassandra {time.monotonic() - began:.1f} s after the start")
            if figures.repair not in ("", repair):
                console.print(f"repair: {figures.repair}", style="yellow", highlight=False)
            repair = figures.repair
            note = "\n".join(line for line in (it.note, it.history, it.event) if line)
            if not quiet:
                parts = [feed_table(it.applied, figures, note, time.time()), server_table(it.platform.status())]
                live.update(Group(*parts), refresh=True)
            if it.simulator is not None and it.chosen.capture is not None and it.simulator.capture_finished():
                return
            time.sleep(REFRESH_S)


def _finish(it: run.Run, console: Console, as_json: bool) -> None:
    """Fill gaps, stop capturing, drain, verify and print the result. Exits with 1 unless everything is in Cassandra."""
    with shown(console) as steps:
        steps.begin("draining")
        gaps = drain(it, lambda text: steps.update("draining", text))
        after = count_rows(it.servers, it.plan)
        captured = {table: count - it.rows_before.get(table, 0) for table, count in after.items()}
        steps.done("draining", f"{sum(captured.values()):,} rows captured")
        steps.begin("verifying")
        report = prove(it.applied, it.servers, lambda text: steps.update("verifying", text))
        steps.done("verifying", "equal" if report["equal"] else f"NOT EQUAL: {report.get('reason', '')}")
    result = {
        "feed": it.applied.feed.name,
        "source": it.applied.source,
        "identity": it.plan.names.fid,
        "captured": captured,
        "gaps_open": len(gaps),
        "verify": report,
    }
    if as_json:
        print(json.dumps(result), flush=True)
    else:
        console.print(
            f"captured {sum(captured.values()):,} rows; compared {report['rows']:,}: missing {report['missing']},"
            f" extra {report['extra']}, different {report['different']}"
        )
    if gaps:
        more = f" and {len(gaps) - 1} more" if len(gaps) > 1 else ""
        console.print(
            f"[red]not everything was captured: open gap in {gaps[0]}{more}; the next run continues to fill them"
        )
    if gaps or not report["equal"] or not sum(captured.values()):
        if not sum(captured.values()):
            console.print("[red]nothing was captured")
        raise typer.Exit(Exit.UNEQUAL)


def _resolve(parsed_file: Path, source: str | None, platform: Platform) -> AppliedFeed:
    """Resolve the feed; if it is running, with the source of the run."""
    document, feed = run.read_document(parsed_file), load(parsed_file)
    running = [a for a in _store(platform).all() if a.feed.name == feed.name]
    if source is None and len(running) == 1:
        earlier = running[0]
        chosen = Chosen(earlier.source, earlier.rest_url, earlier.websocket_url)
    else:
        chosen = choose(feed, source)
    if chosen.note:
        Console(stderr=True).print(f"[yellow]{chosen.note}")
    before = _store(platform).applied_before(feed, chosen.source)
    for folder in (platform.settings.home, platform.settings.run, platform.settings.log):
        platform.account.make_folder(folder)  # they don't exist before the first start
    with answering(platform.settings, feed, chosen):
        return run.resolved(document, chosen, before.symbols if before else (), before.waiting if before else ())


def _print_notes(console: Console, applied: AppliedFeed) -> None:
    for note in applied.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)


def _servers(platform: Platform) -> applier.Servers:
    return applier.Servers.from_env(platform.endpoints().environment())


def apply(feed: Feed, source: Source = None) -> None:
    """Apply a feed: tables, topics, connector, symbols. A run of the feed picks up the change."""
    console = Console(stderr=True)
    platform = _running_platform()
    applied, servers = _resolve(feed, source, platform), _servers(platform)
    if applied.feed.spec.sink.engine == "spark":
        with shown(console) as steps:
            platform.setup_spark(steps)
    planned = run.planned_of(applied, servers)
    with claim.changing(platform.settings.run, applied.fid):
        done = applier.apply(planned, servers, lambda step: console.print(f"[dim]{step}"))
        _store(platform).write(applied)
    console.print(
        f"{applied.feed.name} applied as {applied.fid}: {len(applied.symbols)} symbols"
        f" (added {', '.join(done.added) or 'none'}; removed {', '.join(done.removed) or 'none'})"
    )
    _print_notes(console, applied)


def delete(feed: Feed, source: Source = None) -> None:
    """Delete a feed: its connector and slot, and with `deletionPolicy: Delete` its topics and tables as well."""
    console = Console(stderr=True)
    platform = _running_platform()
    name = load(feed).name
    wanted = None if source is None else source.partition(":")[0]
    found = [a for a in _store(platform).all() if a.feed.name == name and wanted in (None, a.source)]
    if not found:
        raise PlatformError(f"{name} is not applied here", "`cryptocdc status` lists the applied feeds")
    servers = _servers(platform)
    everything = load(feed).spec.deletion_policy == "Delete"
    for applied in found:
        with claim.claimed(platform.settings.run, applied.fid):
            stop_left_over(platform.settings, applied.fid)
            planned = run.planned_of(applied, servers)
            applier.delete(planned, servers, lambda step: console.print(f"[dim]{step}"), everything=everything)
            shutil.rmtree(checkpoint(platform, applied.fid), ignore_errors=True)
            _store(platform).delete(applied.fid)
        kept = "its data was removed" if everything else "its data stays in PostgreSQL, Kafka and Cassandra"
        console.print(f"{applied.fid} deleted; {kept}")


def plan(feed: Feed, source: Source = None) -> None:
    """Print what applying a feed would create, and change nothing."""
    platform = _platform()
    applied = _resolve(feed, source, platform)
    _print_notes(Console(stderr=True), applied)
    planned = run.planned_of(applied, _servers(platform), running=platform.is_running())
    shown_plan: dict[str, Any] = {
        "identity": planned.names.fid,
        "symbols": planned.symbols,
        "halted": list(applied.halted),
        "waiting": list(applied.waiting),
        "topics": {t.name: {"partitions": t.partitions, **t.config} for t in planned.topics},
        "connector": next(iter(planned.connectors.values())),
        "connectors": {shard.connector: config for shard, config in planned.connectors.items()},
        "sink_connector": planned.sink_connector,
        "postgres": list(planned.postgres),
        "cassandra": list(planned.cassandra),
        "programs": {program: workload.replicas for program, workload in workloads(planned).items()},
    }
    print(json.dumps(shown_plan, indent=2))


def status(as_json: Json = False) -> None:
    """Show what runs, and the figures of every applied feed. Exits with 3 if a server is down."""
    platform = _platform()
    servers = platform.status()
    applied_feeds = _store(platform).all()

    def read(applied: AppliedFeed) -> FeedFigures:
        readings = Readings(
            str(platform.settings.targets(applied.fid)),
            KafkaSettings.from_env(),
            applied.names,
            applied.feed.spec.streams.tables,
            applied.feed.spec.sink.engine,
        )
        readings.read()
        time.sleep(1.0)  # the rates are over the second between two readings
        return readings.read()

    # In parallel: a feed whose programs or Kafka do not answer does not delay the others.
    with ThreadPoolExecutor(max(1, len(applied_feeds))) as pool:
        feeds = list(zip(applied_feeds, pool.map(read, applied_feeds), strict=True))
    if as_json:
        answer = {
            "servers": [asdict(server) for server in servers],
            "feeds": [
                {
                    **asdict(now),
                    "feed": applied.feed.name,
                    "identity": applied.fid,
                    "source": applied.source,
                    "symbols": list(applied.symbols),
                    "captured_symbols": now.symbols,
                    **markets_shown(applied, now),
                    "suspended": applied.feed.spec.suspend,
                    "sink_engine": applied.feed.spec.sink.engine,
                }
                for applied, now in feeds
            ],
        }
        print(json.dumps(answer))
    else:
        console = Console()
        console.print(server_table(servers))
        for applied, now in feeds:
            console.print(feed_table(applied, now, "" if now.programs else "none of its programs runs", time.time()))
    if any(server.state != "running" for server in servers):
        raise typer.Exit(Exit.PLATFORM)
