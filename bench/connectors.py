"""`make bench-connectors`: a backlog through one connector and through two, and the CPU time of each part per row.

    python -m bench.connectors [--runs 3] [--rows 200000]

Prints a table and writes bench/out/connectors.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from bench.parts.throughput import throughput, warm_up
from bench.pipeline.consumers import Ours
from bench.pipeline.pipelines import PARTITIONS, Pipeline, bench_platform, running
from bench.report import Report

OUT = Path(__file__).parent / "out" / "connectors.json"
NUMBERS = (1, 2)
LIVE_ROWS = 50_000
WARM_UPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.connectors", description="Measure one connector and two.")
    parser.add_argument("--runs", type=int, default=3, help="number of repetitions (3)")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each backlog (200,000)")
    options = parser.parse_args()
    console, report, platform = Console(stderr=True), Report(), bench_platform()
    with tempfile.TemporaryDirectory() as temporary, running(platform) as servers:
        pipelines = {
            number: Pipeline(
                f"by-{number}", servers, Path(temporary), scaling={"partitions": PARTITIONS, "connectors": number}
            )
            for number in NUMBERS
        }
        pids = {status.name: status.pid for status in platform.status() if status.pid is not None}
        for pipeline in pipelines.values():
            pipeline.apply()
            pipeline.pause()
        for number, pipeline in pipelines.items():
            console.print(f"[bold]warming up {number} connectors")
            with Ours(pipeline) as consumer:
                warm_up(pipeline, consumer, pids, options.rows, WARM_UPS)
            pipeline.pause()
        for run in range(options.runs):
            for number, pipeline in pipelines.items():
                console.print(f"[bold]{number} connectors, {run + 1} of {options.runs}")
                with Ours(pipeline) as consumer:
                    measured = throughput(pipeline, consumer, pids, options.rows, LIVE_ROWS)
                pipeline.pause()
                report.add(f"{number}.backlog_rows_per_s", measured.backlog)
                report.add(f"{number}.live_rows_per_s", measured.live)
                for process, us in (measured.cpu_us | {"total": sum(measured.cpu_us.values())}).items():
                    report.add(f"{number}.cpu_us_per_row.{process}", us)
    report.write(OUT)
    report.show(Console())


if __name__ == "__main__":
    main()
