"""The producer's part of the command `cryptocdc`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    pass
