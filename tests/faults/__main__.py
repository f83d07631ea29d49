"""`make faults`: runs cells of the fault matrix on a platform of its own and records what was seen.

    make faults                                    # every fault with three seeds: some hours
    make faults ARGS="link-flaps --seed 7"         # a fault, or a group of them, with one seed
    make faults ARGS=--list
    make faults ARGS=--table                       # only write docs/faults.md from the report

Writes tests/faults/out/report.json after each cell and the table in docs/faults.md at the end. Exits with 0 if every
cell is as declared, 1 otherwise, 2 for a name that is no fault.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cryptocdc_local.platform import PlatformSettings
from cryptocdc_local.platform.progress import shown
from cryptocdc_local.platform.settings import home
from cryptocdc_local.running.claim import claimed
from tests.faults.cell import run_cell
from tests.faults.fault import Fault
from tests.faults.matrix import FAULTS, chosen
from tests.faults.platform import ProxiedPlatform, ports
from tests.faults.report import OUT, Report, commit, render
from tests.faults.result import Result

FIRST_PORT, SIMULATOR, PROXY, METRICS = 18_400, 50, 10, 60
"""The first port of the servers, and by how much those of the simulator, the proxy and the programs' metrics are beyond
it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make faults", description="Run cells of the fault matrix.")
    parser.add_argument("faults", nargs="*", help="names of faults or groups (all)")
    parser.add_argument("--seed", type=int, action="append", help="a seed; may be repeated")
    parser.add_argument("--seeds", type=int, default=3, help="without --seed: 1 to this many (3)")
    parser.add_argument("--list", action="store_true", help="list the faults and run nothing")
    parser.add_argument("--table", action="store_true", help="write docs/faults.md from the report and run nothing")
    parser.add_argument(
        "--merge", type=Path, action="append", help="add the cells of another clone's report, and run nothing"
    )
    parser.add_argument("--missing", action="store_true", help="only cells that were not yet seen as declared")
    parser.add_argument(
        "--first-port", type=int, default=FIRST_PORT,
        help=f"where the platform's hundred ports begin ({FIRST_PORT}), for another clone beside this one",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the servers running for the next command")
    options = parser.parse_args()
    try:
        faults = chosen(options.faults)
    except ValueError as error:
        parser.error(str(error))
    console, report = Console(), Report()
    if options.list:
        for fault in faults:
            print(f"{fault.name:32} {fault.outcome.value:38} {fault.sentence}")
        return
    for file in options.merge or ():
        report.merge(file)
    runs = not (options.table or options.merge)
    if runs:
        cells = [(fault, seed) for fault in faults for seed in options.seed or range(1, options.seeds + 1)]
        if options.missing:
            cells = [(fault, seed) for fault, seed in cells if not report.has(fault, seed)]
        OUT.parent.mkdir(exist_ok=True)
        with claimed(OUT.parent, "faults"):  # another command would erase the platform of this one
            failed = _run(console, report, cells, first_port=options.first_port, keep=options.keep)
    render(report, FAULTS)
    console.print(f"{len(report.cells)} cells in {OUT}")
    sys.exit(1 if runs and failed else 0)


def _run(console: Console, report: Report, cells: Sequence[tuple[Fault, int]], *, first_port: int, keep: bool) -> int:
    """Run the cells and return how many were not as declared. Servers that an earlier command has kept are used."""
    own = home(os.environ)
    settings = PlatformSettings(
        own.with_name(f"{own.name}-faults"), ports(first_port), programs=own / "lib",
        first_metrics_port=first_port + METRICS,
    )  # fmt: skip
    platform, failed = ProxiedPlatform(settings, first_port + SIMULATOR, first_port + PROXY), 0
    if not platform.pids():
        platform.erase()
    try:
        with platform.proxy:
            with shown(console) as steps:
                platform.start(steps)
            began = time.monotonic()
            for number, (fault, seed) in enumerate(cells, 1):
                left_s = (time.monotonic() - began) / max(1, number - 1) * (len(cells) - number + 1)
                left = f", about {left_s / 60:.0f} min left" if number > 1 else ""
                console.print(f"[bold]{fault.name} --seed {seed}[/] ({number} of {len(cells)}{left})")
                if fault.needs_root and os.geteuid() != 0:
                    _say(console, "not run: it mounts a file system, which needs root")
                    continue
                result = run_cell(
                    platform, fault, seed, commit(), lambda text: console.print(f"  {text}", markup=False)
                )
                report.add(result)
                failed += bool(result.problem)
                _show(console, result)
    finally:
        if not keep:
            platform.erase()
    return failed


def _say(console: Console, text: str) -> None:
    console.print(f"  {text}", markup=False)


def _show(console: Console, result: Result) -> None:
    color = "red" if result.problem else "green"
    console.print(
        f"  [{color}]{result.outcome}[/] in {result.seconds:.0f} s: {result.rows:,} rows, missing {result.missing},"
        f" extra {result.extra}, different {result.different}; recovered after {result.recovered_s:.0f} s,"
        f" {result.resent} sent again, highest lag {result.highest_lag}"
    )
    if result.problem:
        console.print(f"  {result.problem}", style="red", markup=False)
    for text in result.seen[:12]:
        console.print(f"    {text}", style="dim", markup=False)


if __name__ == "__main__":
    main()
