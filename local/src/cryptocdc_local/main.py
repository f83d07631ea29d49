"""The command `cryptocdc`."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import entry_points
from io import TextIOWrapper

import typer

from cryptocdc_local import commands
from cryptocdc_local.errors import explained
from cryptocdc_local.platform import Platform, PlatformError, PlatformSettings
from cryptocdc_local.platform import commands as platform_commands
from cryptocdc_local.trace import commands as trace_commands

app = typer.Typer(
    name="cryptocdc",
    help="Real-time market data from the exchange into Cassandra, by change data capture, proven equal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def environment() -> None:
    """Tell every command where this machine's servers are, unless the caller's environment names others."""
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    # The driver logs with its trace what it raises as well, and what it raises is explained.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        for name, value in Platform(PlatformSettings.from_environment()).endpoints().environment().items():
            os.environ.setdefault(name, value)
    except PlatformError:
        # Nothing was ever started here; a command that needs the servers says so itself.
        return


def main() -> None:
    """Each program adds its own subcommands by the entry point `cryptocdc.commands`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without the letters of a symbol shows their codes
            stream.reconfigure(errors="backslashreplace")
    commands.register(app)
    platform_commands.register(app)
    trace_commands.register(app)
    for found in sorted(entry_points(group="cryptocdc.commands"), key=lambda e: e.name):
        found.load()(app)
    with explained():
        app()


if __name__ == "__main__":
    main()
