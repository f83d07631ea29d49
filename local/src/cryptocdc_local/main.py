"""The command `cryptocdc`."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import entry_points
from io import TextIOWrapper

import typer

from cryptocdc_history import commands as history_commands
from cryptocdc_local import commands, export, recompute
from cryptocdc_local.errors import explained
from cryptocdc_local.platform import Platform, PlatformError, PlatformSettings
from cryptocdc_local.platform import commands as platform_commands
from cryptocdc_local.trace import commands as trace_commands

app = typer.Typer(
    name="cryptocdc",
    help="Capture real-time market data into PostgreSQL, replicate it by CDC to Cassandra, and prove both equal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def environment() -> None:
    """Set the addresses of this machine's servers for every command, unless the environment sets others."""
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    # The driver also logs every exception that it raises, with its trace; we explain those ourselves.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        settings = PlatformSettings.from_environment()
        os.environ.setdefault("CRYPTOCDC_HISTORY_FOLDER", str(settings.home / "history"))
        for name, value in Platform(settings).endpoints().environment().items():
            os.environ.setdefault(name, value)
    except PlatformError:
        # Nothing was ever started here; a command that needs the servers reports it.
        return


def main() -> None:
    """Run the command. Each program adds its subcommands through the entry point `cryptocdc.commands`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a symbol's characters shows their codes
            stream.reconfigure(errors="backslashreplace")
    commands.register(app)
    platform_commands.register(app)
    trace_commands.register(app)
    recompute.register(app)
    history_commands.register(app)
    export.register(app)
    for found in sorted(entry_points(group="cryptocdc.commands"), key=lambda e: e.name):
        found.load()(app)
    with explained():
        app()


if __name__ == "__main__":
    main()
