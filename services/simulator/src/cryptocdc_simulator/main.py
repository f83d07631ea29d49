"""The program `cryptocdc-simulator`."""

from __future__ import annotations

import typer

from cryptocdc_simulator.commands import simulate


def main() -> None:
    typer.run(simulate)


if __name__ == "__main__":
    main()
