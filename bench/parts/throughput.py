"""End-to-end throughput and latency."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import cpu
from bench.pipeline import trades
from bench.pipeline.consumers import Ours, Tutorial
from bench.pipeline.pipelines import Pipeline, wait_until
from cryptocdc_producer.storage.intake import BATCH_AGE_S

WARM_UP_ROWS = 5
COMMITS_PER_S = round(1 / BATCH_AGE_S)
"""The producer's maximum commit rate."""
WARM_UP_S = 3.0
POLL_S = 0.1
"""Polling reads our consumer's metrics, which costs it CPU time."""


@dataclass(frozen=True)
class Throughput:
    """Rows per second. `cpu_us`: microseconds of CPU time per row of the backlog, by process."""

    backlog: float
    live: float
    cpu_us: dict[str, float]


def warm_up(pipeline: Pipeline, consumer: Tutorial | Ours, servers: dict[str, int], rows: int, most: int) -> None:
    """Process backlogs of `rows`, at most `most` of them, until two in a row cost over 90 % of the least CPU time so
    far.

    In its first minutes a JVM spends more time compiling than working; the comparison is between warm pipelines.
    """
    ready(pipeline, consumer)
    least, steady = float("inf"), 0
    for _ in range(most):
        cost = sum(drain(pipeline, [consumer], servers, rows)[1].values())
        steady = steady + 1 if cost > 0.9 * least else 0
        least = min(least, cost)
        if steady == 2:
            return


def throughput(
    pipeline: Pipeline, consumer: Tutorial | Ours, servers: dict[str, int], backlog: int, live: int
) -> Throughput:
    """Measure throughput. Backlog: rows committed while the connector is stopped; from its resumption to the last row's
    acknowledgement. Live: from the first commit to the last acknowledgement, including PostgreSQL's work.

    `servers` are process ids by name.
    """
    ready(pipeline, consumer)
    seconds, cpu_us = drain(pipeline, [consumer], servers, backlog)
    texts = trades.commits(live)
    earlier = consumer.acknowledged()
    began = time.monotonic()
    for text in texts:
        trades.copy(pipeline.database, pipeline.plan.names.schema, text)
    wait_until("the live rows in Cassandra", lambda: consumer.acknowledged() >= earlier + live, every_s=POLL_S)
    return Throughput(backlog / seconds, live / (time.monotonic() - began), cpu_us)


def ready(pipeline: Pipeline, consumer: Tutorial | Ours) -> None:
    """Wait until the connector runs, the groups are formed and the slot has passed earlier changes."""
    pipeline.resume()
    pipeline.wait_running()
    trades.copy(pipeline.database, pipeline.plan.names.schema, trades.random_trades(WARM_UP_ROWS))
    wait_until("the first rows", lambda: consumer.acknowledged() >= WARM_UP_ROWS)


def drain(
    pipeline: Pipeline, consumers: Sequence[Tutorial | Ours], servers: dict[str, int], rows: int
) -> tuple[float, dict[str, float]]:
    """Return the seconds that a backlog takes, and microseconds of CPU time per row, by process; `consumer` is all of
    them together."""
    numbered = {f"consumer {number}": consumer.process.pid for number, consumer in enumerate(consumers)}
    pids = servers | numbered

    def acknowledged() -> int:
        return sum(consumer.acknowledged() for consumer in consumers)

    pipeline.pause()
    for text in trades.commits(rows, pipeline.symbols):
        trades.copy(pipeline.database, pipeline.plan.names.schema, text)
    earlier = acknowledged()
    before = cpu.seconds(pids)
    began = time.monotonic()
    pipeline.resume()
    wait_until("the backlog in Cassandra", lambda: acknowledged() >= earlier + rows, every_s=POLL_S)
    seconds = time.monotonic() - began
    after = cpu.seconds(pids)
    spent = {name: (after[name] - before[name]) * 1_000_000 / rows for name in after}
    together = sum(spent.pop(name) for name in numbered)
    return seconds, spent | {"consumer": together}


def latency(pipeline: Pipeline, rows_per_s: int, seconds: float, folder: Path) -> list[float]:
    """Return milliseconds from PostgreSQL's commit to Cassandra's acknowledgement, for every row after the warm-up."""
    pipeline.resume()
    pipeline.wait_running()
    with Ours(pipeline, folder / "latencies.json") as consumer:
        wait_until("partitions", consumer.assigned)
        sent = 0
        for text in trades.paced(WARM_UP_S + seconds, rows_per_s, COMMITS_PER_S):
            trades.copy(pipeline.database, pipeline.plan.names.schema, text)
            sent += rows_per_s // COMMITS_PER_S
        wait_until("the last rows in Cassandra", lambda: consumer.acknowledged() >= sent, every_s=0.2)
    pipeline.pause()
    return consumer.latencies_ms()[int(WARM_UP_S * rows_per_s) :]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
