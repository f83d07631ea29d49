"""Rows a second end to end, and latency."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench import processor, trades
from bench.consumers import Ours, Tutorial
from bench.stack import Way, wait_until
from cryptocdc_producer.storage.intake import BATCH_AGE_S

WARM_UP_ROWS = 5
COMMITS_A_SECOND = round(1 / BATCH_AGE_S)
"""As often as the producer commits at most."""
WARM_UP_S = 3.0
LOOK_S = 0.1
"""Our consumer answers each look with its metrics, which is work of its own."""


@dataclass(frozen=True)
class Throughput:
    """Rows a second. `cpu_us`: microseconds of CPU time for a row of the backlog, by process."""

    backlog: float
    live: float
    cpu_us: dict[str, float]


def warm_up(way: Way, consumer: Tutorial | Ours, servers: dict[str, int], rows: int, most: int) -> None:
    """Backlogs of `rows`, `most` at the most, until two in a row have not cost a tenth less CPU time than any before.

    For its first minutes a JVM is busier compiling than working; what is compared are pipelines that have run a while.
    """
    _ready(way, consumer)
    least, steady = float("inf"), 0
    for _ in range(most):
        cost = sum(_drain(way, consumer, servers, rows)[1].values())
        steady = steady + 1 if cost > 0.9 * least else 0
        least = min(least, cost)
        if steady == 2:
            return


def throughput(way: Way, consumer: Tutorial | Ours, servers: dict[str, int], backlog: int, live: int) -> Throughput:
    """Backlog: committed while the connector is stopped; from its resumption to the last row's acknowledgement. Live:
    from the first commit to the last acknowledgement, PostgreSQL's own work on the same two cores included.

    `servers` are their process ids by name.
    """
    _ready(way, consumer)
    seconds, cpu_us = _drain(way, consumer, servers, backlog)
    texts = trades.commits(live)
    had = consumer.acknowledged()
    began = time.monotonic()
    for text in texts:
        trades.copy(way.database, way.plan.names.schema, text)
    wait_until("the live rows in Cassandra", lambda: consumer.acknowledged() >= had + live, every_s=LOOK_S)
    return Throughput(backlog / seconds, live / (time.monotonic() - began), cpu_us)


def _ready(way: Way, consumer: Tutorial | Ours) -> None:
    """The connector, the groups and the caches are where they would be, and the slot has passed what was before."""
    way.resume()
    way.connect.wait_running(way.plan.names.connector)
    trades.copy(way.database, way.plan.names.schema, trades.made(WARM_UP_ROWS))
    wait_until("the first rows", lambda: consumer.acknowledged() >= WARM_UP_ROWS)


def _drain(way: Way, consumer: Tutorial | Ours, servers: dict[str, int], rows: int) -> tuple[float, dict[str, float]]:
    """Seconds that a backlog takes, and microseconds of CPU time for each row of it, by process."""
    pids = servers | {"consumer": consumer.process.pid}
    way.pause()
    for text in trades.commits(rows):
        trades.copy(way.database, way.plan.names.schema, text)
    had = consumer.acknowledged()
    before = processor.spent(pids)
    began = time.monotonic()
    way.resume()
    wait_until("the backlog in Cassandra", lambda: consumer.acknowledged() >= had + rows, every_s=LOOK_S)
    seconds = time.monotonic() - began
    after = processor.spent(pids)
    return seconds, {name: (after[name] - before[name]) * 1_000_000 / rows for name in after}


def latency(way: Way, rows_a_second: int, seconds: float, folder: Path) -> list[float]:
    """Milliseconds from PostgreSQL's commit to Cassandra's acknowledgement, of every row after the warm-up."""
    way.resume()
    way.connect.wait_running(way.plan.names.connector)
    with Ours(way, folder / "latencies.json") as consumer:
        wait_until("partitions", consumer.assigned)
        sent = 0
        for text in trades.paced(WARM_UP_S + seconds, rows_a_second, COMMITS_A_SECOND):
            trades.copy(way.database, way.plan.names.schema, text)
            sent += rows_a_second // COMMITS_A_SECOND
        wait_until("all of them", lambda: consumer.acknowledged() >= sent, every_s=0.2)
    way.pause()
    return consumer.latencies_ms()[int(WARM_UP_S * rows_a_second) :]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
