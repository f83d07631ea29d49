"""Rows a second end to end, and latency."""

from __future__ import annotations

import time
from pathlib import Path

from bench import trades
from bench.consumers import Ours, Tutorial
from bench.stack import Way, wait_until
from cryptocdc_producer.intake import BATCH_AGE_S

WARM_UP_ROWS = 5
COMMITS_A_SECOND = round(1 / BATCH_AGE_S)
"""As often as the producer commits at most."""
WARM_UP_S = 3.0
LOOK_S = 0.1
"""Our consumer answers each look with its metrics, which is work of its own."""


def throughput(way: Way, consumer: Tutorial | Ours, backlog: int, live: int) -> tuple[float, float]:
    """Rows a second from a backlog and live.

    Backlog: committed while the connector is stopped; from its resumption to the last row's acknowledgement. Live: from
    the first commit to the last acknowledgement, PostgreSQL's own work on the same two cores included.
    """
    way.resume()
    way.connect.wait_running(way.plan.names.connector)
    # So that the connector, the groups and the caches are where they would be, and the slot has passed what was before.
    trades.copy(way.database, way.plan.names.schema, trades.made(WARM_UP_ROWS))
    wait_until("the first rows", lambda: consumer.acknowledged() >= WARM_UP_ROWS)
    way.pause()
    for text in trades.commits(backlog):
        trades.copy(way.database, way.plan.names.schema, text)
    had = consumer.acknowledged()
    began = time.monotonic()
    way.resume()
    wait_until("the backlog in Cassandra", lambda: consumer.acknowledged() >= had + backlog, every_s=LOOK_S)
    from_backlog = backlog / (time.monotonic() - began)

    texts = trades.commits(live)
    had = consumer.acknowledged()
    began = time.monotonic()
    for text in texts:
        trades.copy(way.database, way.plan.names.schema, text)
    wait_until("the live rows in Cassandra", lambda: consumer.acknowledged() >= had + live, every_s=LOOK_S)
    return from_backlog, live / (time.monotonic() - began)


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
