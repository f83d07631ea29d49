"""The platform's own subcommands: `doctor`, `shell`, `setup`, `erase` and `grafana`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_local.platform import shells
from cryptocdc_local.platform.doctor import diagnose
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.metrics import metrics_served
from cryptocdc_local.platform.monitoring import grafana
from cryptocdc_local.platform.platform import Platform
from cryptocdc_local.platform.progress import shown
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add the subcommands to `app`."""
    app.command()(doctor)
    app.command()(setup)
    app.command()(erase)
    app.command(name="grafana")(serve_grafana)
    shell = typer.Typer(no_args_is_help=True, help="Look at the data, already logged in.")
    shell.command(context_settings=_PASS_ON)(psql)
    shell.command(context_settings=_PASS_ON)(cql)
    shell.command()(topics)
    app.add_typer(shell, name="shell")


def doctor(
    exchange: Annotated[str, typer.Option(help="the exchange to reach: " + ", ".join(VENUES))] = "binance",
) -> None:
    """Check what could prevent a run: ports, Java, disk, memory, clock, exchange. Exits with 3 if a check fails.

    An unreachable exchange does not count: a run on one machine then uses the simulator.
    """
    if exchange not in VENUES:
        raise typer.BadParameter(f"{exchange!r}; accepted: {', '.join(VENUES)}", param_hint="--exchange")
    console = Console()
    checks = diagnose(PlatformSettings.from_environment(), VENUES[exchange])
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{mark} {check.name:<9} {check.found}", highlight=False, soft_wrap=True)
        if check.remedy:
            console.print(f"  [yellow]→ {check.remedy}", highlight=False, soft_wrap=True)
    if any(not check.ok and check.name != "exchange" for check in checks):
        raise typer.Exit(Exit.PLATFORM)


def setup() -> None:
    """Install what is missing (Java, the servers' programs) and start nothing."""
    with shown(Console(stderr=True)) as steps:
        Platform(PlatformSettings.from_environment()).setup(steps)


def erase() -> None:
    """Stop the servers and remove their data, logs and passwords. Downloads stay."""
    console = Console(stderr=True)
    with shown(console) as steps:
        removed = Platform(PlatformSettings.from_environment()).erase(steps)
    for path in removed:
        console.print(f"removed {path}", highlight=False, soft_wrap=True)
    if not removed:
        console.print("there was nothing to remove")


def serve_grafana(
    folder: Annotated[Path, typer.Option(help="the folder that contains dashboards and provisioning")] = Path(
        "grafana"
    ),
) -> None:
    """Run this machine's Grafana with the dashboards and read-only data sources until Ctrl-C."""
    if not (folder / "provisioning").is_dir():
        raise typer.BadParameter(
            f"{folder}: has no folder provisioning; run the command in the project's folder", param_hint="--folder"
        )
    grafana.find()  # fail early
    platform = _running("cassandra")
    ports, folder = platform.settings.ports, folder.resolve()
    api, state = f"http://{LOOPBACK}:{ports.api}", platform.settings.home / "grafana"
    watch = platform.settings.dashboard_ports
    given = grafana.environment(platform.endpoints(), platform.reader_password, api, watch, folder, state)
    console = Console()

    def report(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True, markup=False)

    report(f"Grafana: {grafana.url(watch)}")
    with metrics_served(platform, report):
        raise typer.Exit(grafana.serve(platform.settings, given, folder, report))


def psql(context: typer.Context) -> None:
    """Open PostgreSQL's shell as the owner of the rows. Further arguments go to psql, e.g. -c 'SELECT 1'."""
    platform = _running("postgres")
    raise typer.Exit(shells.psql(platform.settings, platform.endpoints(), context.args))


def cql(context: typer.Context) -> None:
    """Open Cassandra's shell. Further arguments go to cqlsh, e.g. -e 'DESCRIBE KEYSPACES'."""
    raise typer.Exit(shells.cql(_running("cassandra").endpoints(), context.args))


def topics(
    topic: Annotated[str | None, typer.Argument(help="print this topic's last records instead of all topics")] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="how many records")] = 10,
) -> None:
    """List Kafka's topics with partitions, records and the consumer groups' lag, or print the last records of one."""
    settings = KafkaSettings.from_env(_running("kafka").endpoints().environment())
    shells.topics(settings, Console(), topic, count)


def _running(server: str) -> Platform:
    platform = Platform(PlatformSettings.from_environment())
    if next(status for status in platform.status() if status.name == server).state != "running":
        raise PlatformError(f"{server} is not running", "run `cryptocdc up` to start it")
    return platform
