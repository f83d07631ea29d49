"""How cost grows: with the number of symbols, of programs and of rows; and the consumer alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import yaml
from rich.console import Console

from bench import cpu
from bench.parts.first_row import FEED, ROWS, capturing, scraped
from bench.parts.throughput import drain, ready
from bench.pipeline.consumers import Ours
from bench.pipeline.pipelines import PARTITIONS, Pipeline, wait_until
from bench.report import Report
from cryptocdc_adapters.kafka.offsets import GroupOffsets
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform

SYMBOL_COUNTS = (10, 100, 1000)
PROGRAM_COUNTS = (1, 2, 4)
BACKLOG, WARM_UP = 200_000, 100_000
MILLION, MILLIONS = 1_000_000, 10
ALONE, ALONE_WARM_UP = 2_000_000, 200_000
CAPTURED, RATE, CAPTURED_S, SETTLE_S = 60, 8, 30.0, 30.0
"""Symbols, the factor on the simulator's rate of trades, and seconds, of the real producers and consumers."""
CPU = "process_cpu_seconds_total"


def growth(report: Report, console: Console, platform: Platform, servers: Servers, folder: Path) -> None:
    pids = {status.name: status.pid for status in platform.status() if status.pid is not None}
    for count in SYMBOL_COUNTS:
        console.print(f"[bold]{count} symbols")
        names = [f"N{number:04}USDT" for number in range(count)]
        pipeline = Pipeline(f"symbols{count}", servers, folder, names)
        _backlog(report, f"symbols.{count}", pipeline, pids, 1)
    for count in PROGRAM_COUNTS:
        console.print(f"[bold]{count} consumers")
        _backlog(report, f"consumers.{count}", Pipeline(f"consumers{count}", servers, folder), pids, count)
    grown = Pipeline("grown", servers, folder)
    _millions(report, console, grown, pids)
    console.print("[bold]the consumer alone")
    _alone(report, grown)
    for count in PROGRAM_COUNTS:
        console.print(f"[bold]{count} producers")
        _captured(report, platform, folder, count)


def _backlog(report: Report, name: str, pipeline: Pipeline, servers: dict[str, int], consumers: int) -> None:
    """Rows per second and CPU time per row of a backlog, after another one of which nothing counts."""
    pipeline.apply(pipeline.plan.connector)
    with ExitStack() as stack:
        running = [stack.enter_context(Ours(pipeline)) for _ in range(consumers)]
        wait_until("partitions", lambda: all(consumer.assigned() for consumer in running))
        drain(pipeline, running, servers, WARM_UP)
        seconds, cpu_us = drain(pipeline, running, servers, BACKLOG)
    pipeline.pause()
    report.add(f"growth.{name}.rows_per_s", BACKLOG / seconds)
    report.add(f"growth.{name}.cpu_us_per_row", sum(cpu_us.values()))


def _millions(report: Report, console: Console, pipeline: Pipeline, servers: dict[str, int]) -> None:
    """Whether the last million of ten is as fast as the first."""
    pipeline.apply(pipeline.plan.connector)
    rates = []
    with Ours(pipeline) as consumer:
        ready(pipeline, consumer)
        drain(pipeline, [consumer], servers, WARM_UP)
        for number in range(1, MILLIONS + 1):
            rates.append(MILLION / drain(pipeline, [consumer], servers, MILLION)[0])
            console.print(f"[bold]million {number} of {MILLIONS}: {rates[-1]:,.0f} rows a second")
            report.add(f"growth.millions.{number}.rows_per_s", rates[-1])
    pipeline.pause()
    report.add("growth.millions.last_to_first", rates[-1] / rates[0])


@contextlib.contextmanager
def _acknowledged_at_once(servers: Servers) -> Iterator[int]:
    """The port of a Cassandra that takes batches without any work."""
    to = [servers.cassandra.hosts, str(servers.cassandra.port)]
    command = [sys.executable, "-m", "bench.pipeline.acknowledger", *to]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(30)


def _alone(report: Report, pipeline: Pipeline) -> None:
    """The rate at which one consumer reads from Kafka, decodes, encodes and sends, if Cassandra takes no time."""
    names, kafka = pipeline.plan.names, pipeline.servers.kafka
    group = GroupOffsets(kafka, names.consumer_group)
    group.commit({(pipeline.topic, partition): 0 for partition in range(PARTITIONS)})
    group.close()
    with (
        _acknowledged_at_once(pipeline.servers) as port,
        Ours(pipeline, CRYPTOCDC_CASSANDRA_PORT=str(port)) as consumer,
    ):
        wait_until("its first rows", lambda: consumer.acknowledged() >= ALONE_WARM_UP, every_s=0.1)
        before, first, began = cpu.seconds({"it": consumer.process.pid}), consumer.acknowledged(), time.monotonic()
        wait_until("its rows", lambda: consumer.acknowledged() >= first + ALONE, every_s=0.5)
        seconds, rows = time.monotonic() - began, consumer.acknowledged() - first
        after = cpu.seconds({"it": consumer.process.pid})
    report.add("growth.consumer_alone.rows_per_s", rows / seconds)
    report.add("growth.consumer_alone.cpu_us_per_row", (after["it"] - before["it"]) * 1e6 / rows)


def _captured(report: Report, platform: Platform, folder: Path, count: int) -> None:
    """Real producers and consumers, as many of each, beside the simulator: CPU time per row that is written."""
    feed = folder / f"captured{count}.yaml"
    spec = FEED["spec"] | {
        "symbols": {"top": {"count": CAPTURED}},
        "scaling": {"partitions": PARTITIONS, "producers": count, "consumers": count},
    }
    feed.write_text(yaml.safe_dump(FEED | {"metadata": {"name": f"captured{count}"}, "spec": spec}), encoding="utf-8")

    def spent() -> tuple[float, float, float]:
        return tuple(scraped(platform, *of) for of in (("producer", CPU), ("consumer", CPU), ("consumer", ROWS)))  # type: ignore[return-value]

    with capturing(platform, folder, feed, CRYPTOCDC_SIMULATOR_RATE=str(RATE)):
        wait_until("rows", lambda: scraped(platform, "consumer", ROWS) > 0, every_s=0.5)
        time.sleep(SETTLE_S)  # the candles of the last 24 hours arrive first
        before, began = spent(), time.monotonic()
        time.sleep(CAPTURED_S)
        producers, consumers, rows = (after - first for after, first in zip(spent(), before, strict=True))
        seconds = time.monotonic() - began
    report.add(f"growth.captured.{count}.rows_per_s", rows / seconds)
    report.add(f"growth.captured.{count}.producers_cpu_us_per_row", producers * 1e6 / rows)
    report.add(f"growth.captured.{count}.consumers_cpu_us_per_row", consumers * 1e6 / rows)
