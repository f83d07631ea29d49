"""Runs our consumer, and also records each row's latency, which it writes to a file when it stops.

The file is a JSON list of milliseconds from PostgreSQL's commit to Cassandra's acknowledgement. The consumer's own
histogram has buckets, and observes only two rows of a batch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cryptocdc_consumer import main as program
from cryptocdc_consumer import outcomes
from cryptocdc_consumer.intake import Batch
from cryptocdc_core.program.metrics import ConsumerMetrics

observe = outcomes.observe
latencies_ms: list[float] = []


def record(metrics: ConsumerMetrics, batch: Batch) -> None:
    latencies_ms.extend(batch.acknowledged_at * 1000 - change.committed_us / 1000 for _, _, change in batch.entries)
    observe(metrics, batch)


if __name__ == "__main__":
    outcomes.observe = record
    try:
        program.main()
    finally:
        Path(sys.argv[1]).write_text(json.dumps(latencies_ms), encoding="utf-8")
