"""`make bench-sinks`: compares what writes from Kafka into Cassandra, in one run.

    python -m bench.sinks [--runs 3]

Each sink has a pipeline of its own on the same servers, and gets the same load: a backlog, live rows, and live rows
during which it is killed. Prints a table, writes bench/out/sinks.json and bench/out/sinks.svg. Exits with 0, or with 1
if after the kill a sink of ours lacks a row or has a wrong one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import cpu
from bench.parts.throughput import COMMITS_PER_S, percentile
from bench.pipeline import trades
from bench.pipeline.pipelines import Pipeline, bench_platform, running
from bench.report import Report
from bench.sinks.engines import ENGINES, Engine
from bench.sinks.plot import draw
from bench.sinks.visible import Visible
from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_verifier.target import Target
from cryptocdc_verifier.verify import verify

OUT = Path(__file__).parents[1] / "out"
BACKLOG = 100_000
"""The tutorials' way takes minutes for it."""
WARM_UP = {"tutorial": (15_000, 1)}
"""Rows and rounds before the first measurement, by sink; of the others WARM_UP_ROWS and WARM_UP_ROUNDS."""
WARM_UP_ROWS, WARM_UP_ROUNDS = 200_000, 3
LIVE_PER_S, LIVE_S, LIVE_WARM_UP_S = 1_000, 12.0, 3.0
KILL_AFTER_S, KILL_LOAD_S = 4.0, 12.0
FIGURES = {
    "rows_per_s": "rows/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "cpu_us_per_row": "CPU µs/row",
    "memory_mib": "memory MiB", "after_kill.missing": "missing", "after_kill.extra": "extra",
    "after_kill.different": "different",
}  # fmt: skip


class Measured:
    """One sink: its pipeline, and its figures in the report, `NAME.figure`."""

    def __init__(self, name: str, engine: Engine, pipeline: Pipeline, report: Report) -> None:
        self.name, self.engine, self.pipeline, self._report = name, engine, pipeline, report
        self._cluster, session = cassandra.connect(pipeline.servers.cassandra)
        self.visible = Visible(session, pipeline.plan.names.keyspace)

    def warm_up(self) -> None:
        """Process backlogs first: in its first minute a JVM spends more time compiling than working."""
        rows, rounds = WARM_UP.get(self.name, (WARM_UP_ROWS, WARM_UP_ROUNDS))
        with self.engine.running():
            for _ in range(rounds):
                self._drain(rows)
        self.pipeline.pause()

    def measure(self, *, kill: bool) -> None:
        with self.engine.running():
            seconds, cpu_us = self._drain(BACKLOG)
            self._add("rows_per_s", BACKLOG / seconds)
            self._add("cpu_us_per_row", sum(cpu_us.values()))
            for process, us in cpu_us.items():
                self._add(f"cpu_us_per_row_of.{process}", us)
            self._add("memory_mib", self.engine.memory_mib())
            latencies = self._latencies_ms()
            self._add("p50_ms", percentile(latencies, 0.5))
            self._add("p99_ms", percentile(latencies, 0.99))
            if kill:
                self._kill()
        self.pipeline.pause()

    def close(self) -> None:
        self._cluster.shutdown()

    def _add(self, figure: str, value: float) -> None:
        self._report.add(f"{self.name}.{figure}", value)

    def _drain(self, rows: int) -> tuple[float, dict[str, float]]:
        """Return the seconds from the connector's resumption until the last rows of a backlog can be read, and
        microseconds of CPU time per row, by process."""
        self.pipeline.pause()
        text = ""
        for text in trades.commits(rows):
            trades.copy(self.pipeline.database, self.pipeline.plan.names.schema, text)
        before, began = cpu.seconds(self.engine.pids()), time.monotonic()
        self.pipeline.resume()
        self.visible.wait(text)
        seconds = time.monotonic() - began
        after = cpu.seconds(self.engine.pids())
        return seconds, {name: (after[name] - before[name]) * 1e6 / rows for name in after}

    def _latencies_ms(self) -> list[float]:
        with self.visible.watching() as watch:
            for text in trades.paced(LIVE_WARM_UP_S + LIVE_S, LIVE_PER_S, COMMITS_PER_S):
                trades.copy(self.pipeline.database, self.pipeline.plan.names.schema, text)
                watch.committed(text)
        return watch.latencies_ms[int(LIVE_WARM_UP_S * COMMITS_PER_S) :]

    def _kill(self) -> None:
        """Kill the sink in the middle of the load, start it again, and compare every row of both databases."""
        began, killed, text = time.monotonic(), False, ""
        for text in trades.paced(KILL_LOAD_S, LIVE_PER_S, COMMITS_PER_S):
            trades.copy(self.pipeline.database, self.pipeline.plan.names.schema, text)
            if not killed and time.monotonic() - began > KILL_AFTER_S:
                killed = True
                self.engine.kill()
        self.visible.wait(text)
        servers, feed = self.pipeline.servers, self.pipeline.plan.feed
        target = Target(feed, "simulated", servers.postgres, servers.kafka, servers.cassandra, servers.connect)
        with self._more_rows():
            found = verify(target)
        for figure in ("missing", "extra", "different"):
            self._add(f"after_kill.{figure}", getattr(found, figure))

    @contextlib.contextmanager
    def _more_rows(self) -> Iterator[None]:
        """Insert a row each second. A connector as in tutorials has no heartbeat: without a further row its slot would
        never pass the position that is verified."""
        done = threading.Event()

        def insert() -> None:
            while not done.wait(1):
                trades.copy(self.pipeline.database, self.pipeline.plan.names.schema, trades.random_trades(1))

        thread = threading.Thread(target=insert)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sinks", description="Compare the sinks on this machine.")
    parser.add_argument("--runs", type=int, default=3, help="number of repetitions (3)")
    parser.add_argument("--sinks", default=",".join(ENGINES), help=f"some of {', '.join(ENGINES)}")
    options = parser.parse_args()
    chosen = options.sinks.split(",")
    console, report, platform = Console(stderr=True), Report(), bench_platform()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with running(platform) as servers:
                sinks = []
                for name in chosen:
                    engine = ENGINES[name](platform, servers, Path(folder))
                    sinks.append(Measured(name, engine, engine.pipeline, report))
                    engine.apply()
                    console.print(f"[bold]warming up {name}")
                    sinks[-1].warm_up()
                for number in range(options.runs):
                    for sink in sinks:
                        console.print(f"[bold]{sink.name}, {number + 1} of {options.runs}")
                        sink.measure(kill=number + 1 == options.runs)
                for sink in sinks:
                    sink.close()
        finally:
            report.write(OUT / "sinks.json")
    _show(report, chosen)
    draw(json.loads((OUT / "sinks.json").read_text(encoding="utf-8")), OUT / "sinks.svg")
    console.print(f"written to {OUT / 'sinks.json'} and {OUT / 'sinks.svg'}")
    wrong = [
        name for name in chosen if name != "tutorial"
        if any(report.median(f"{name}.after_kill.{figure}") for figure in ("missing", "extra", "different"))
    ]  # fmt: skip
    if wrong:
        console.print(f"[red]not equal after the kill: {', '.join(wrong)}")
    sys.exit(1 if wrong else 0)


def _show(report: Report, chosen: list[str]) -> None:
    table = Table("sink", *FIGURES.values())
    for name in chosen:
        table.add_row(name, *(f"{report.median(f'{name}.{figure}'):,.0f}" for figure in FIGURES))
    Console().print(table)


if __name__ == "__main__":
    main()
