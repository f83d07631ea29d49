"""`make bench`: compares the tutorials' pipeline with ours, repeatedly, in one run.

    python -m bench [--runs 5] [--only PART ...]

Prints a table and writes bench/out/report.json. Exits with 0 if every target is met, 1 if one is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench.growth_plot import draw
from bench.parts.analysis import analysis
from bench.parts.api_latency import latest_prices
from bench.parts.first_row import first_row
from bench.parts.growth import growth
from bench.parts.past import history
from bench.parts.throughput import latency, percentile, throughput, warm_up
from bench.pipeline.consumers import Ours, Tutorial
from bench.pipeline.pipelines import Pipeline, bench_platform, running, tutorial_connector
from bench.report import Report
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform

OUT = Path(__file__).parent / "out" / "report.json"
TUTORIAL_ROWS, TUTORIAL_LIVE = 15_000, 5_000
OUR_ROWS, OUR_LIVE = 400_000, 200_000
LATENCY_S = 12
WARM_UP_ROWS = 5_000, 200_000
"""Rows of the tutorials' pipeline and of ours in each of at most WARM_UPS rounds, which are not counted."""
WARM_UPS = 8
RATES = (200, 2000, 10_000)
PARTS = ("first-row", "pipelines", "analyzer", "history", "api", "growth")
ANALYTICS, ANALYSIS_S = {"bars": ["5s", "1m"]}, 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the pipeline on this machine.")
    parser.add_argument("--runs", type=int, default=5, help="number of repetitions (5)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    options = parser.parse_args()
    console, report, platform = Console(stderr=True), Report(), bench_platform()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            if "first-row" in options.only:
                for number in range(options.runs):
                    console.print(f"[bold]first row, candles and memory, {number + 1} of {options.runs}")
                    _first_row(report, platform, folder)
            if set(options.only) - {"first-row"}:
                with running(platform) as servers:
                    _on_warm_servers(options, report, console, platform, servers, folder)
        finally:
            report.write(OUT)
            report.show(Console())
    if "growth" in options.only:
        draw(json.loads(OUT.read_text(encoding="utf-8")), OUT.with_name("growth.svg"))
    missed = list(report.missed())
    console.print(f"written to {OUT}" + (f"; missed: {', '.join(missed)}" if missed else "; every target met"))
    sys.exit(1 if missed else 0)


def _on_warm_servers(
    options: argparse.Namespace, report: Report, console: Console, platform: Platform, servers: Servers, folder: Path
) -> None:
    if "pipelines" in options.only:
        tutorial, ours = Pipeline("tutorial", servers, folder), Pipeline("ours", servers, folder)
        tutorial.apply(tutorial_connector(tutorial))
        tutorial.pause()
        ours.apply(ours.plan.connector)
        ours.pause()
        console.print("[bold]warming up")
        pids = {status.name: status.pid for status in platform.status() if status.pid is not None}
        _warm_up(pids, tutorial, ours, folder)
        for number in range(options.runs):
            console.print(f"[bold]end to end and latency, {number + 1} of {options.runs}")
            _measure_pipelines(report, pids, tutorial, ours, folder)
    if "analyzer" in options.only:
        console.print("[bold]analyzer")
        _measure_analyzer(report, Pipeline("analyzed", servers, folder, analytics=ANALYTICS))
    if "history" in options.only:
        for number in range(options.runs):
            console.print(f"[bold]history, {number + 1} of {options.runs}")
            _measure_history(report, Pipeline(f"past{number}", servers, folder), folder)
    if "api" in options.only:
        for number in range(options.runs):
            console.print(f"[bold]API, {number + 1} of {options.runs}")
            _measure_api(report, platform, folder)
    if "growth" in options.only:
        growth(report, console, platform, servers, folder)


def _first_row(report: Report, platform: Platform, folder: Path) -> None:
    found = first_row(platform, folder)
    report.add("first_row_s", found.row_s)
    report.add("first_candles_s", found.candles_s)
    for process, mib in found.memory_mib.items():
        report.add(f"memory_mib.{process}", mib)


def _warm_up(servers: dict[str, int], tutorial: Pipeline, ours: Pipeline, folder: Path) -> None:
    for pipeline, kind, rows in zip((tutorial, ours), (Tutorial, Ours), WARM_UP_ROWS, strict=True):
        with kind(pipeline) as consumer:
            warm_up(pipeline, consumer, servers, rows, WARM_UPS)
        pipeline.pause()
    for _ in range(2):
        latency(ours, max(RATES), LATENCY_S, folder)


def _measure_pipelines(
    report: Report, servers: dict[str, int], tutorial: Pipeline, ours: Pipeline, folder: Path
) -> None:
    with Tutorial(tutorial) as consumer:
        naive = throughput(tutorial, consumer, servers, TUTORIAL_ROWS, TUTORIAL_LIVE)
    tutorial.pause()
    with Ours(ours) as program:
        tuned = throughput(ours, program, servers, OUR_ROWS, OUR_LIVE)
    ours.pause()
    report.add("end_to_end.naive_rows_per_s", naive.backlog)
    report.add("end_to_end.tuned_rows_per_s", tuned.backlog)
    report.add("end_to_end.ratio_to_naive", tuned.backlog / naive.backlog)
    report.add("live.naive_rows_per_s", naive.live)
    report.add("live.tuned_rows_per_s", tuned.live)
    report.add("live.ratio_to_naive", tuned.live / naive.live)
    for pipeline, measured in (("naive", naive), ("tuned", tuned)):
        for process, us in (measured.cpu_us | {"total": sum(measured.cpu_us.values())}).items():
            report.add(f"cpu_us_per_row.{pipeline}.{process}", us)
    for rate in RATES:
        values = latency(ours, rate, LATENCY_S, folder)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            report.add(f"latency_ms.{rate}.{name}", percentile(values, share))


def _measure_analyzer(report: Report, pipeline: Pipeline) -> None:
    pipeline.apply(pipeline.plan.connector)
    cpu_us, values = analysis(pipeline, ANALYSIS_S)
    report.add("analyzer.cpu_us_per_trade", cpu_us)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        report.add(f"analyzer.commit_to_bar_ms.{name}", percentile(values, share))


def _measure_history(report: Report, pipeline: Pipeline, folder: Path) -> None:
    pipeline.apply(pipeline.plan.connector)
    found = history(pipeline, folder)
    report.add("history.loaded_rows_per_s", found.loaded_per_s)
    report.add("history.written_rows_per_s", found.written_per_s)
    report.add("history.compared_rows_per_s", found.compared_per_s)
    report.add("history.grown_mib", found.grown_mib)
    pipeline.pause()


def _measure_api(report: Report, platform: Platform, folder: Path) -> None:
    values, rate = latest_prices(platform, folder)
    report.add("api.requests_per_s", rate)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        report.add(f"api.latest_price_ms.{name}", percentile(values, share))


if __name__ == "__main__":
    main()
