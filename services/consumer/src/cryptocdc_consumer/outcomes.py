"""What became of the batches sent to Cassandra and of the dead letters sent to Kafka."""

from __future__ import annotations

from cryptocdc_consumer.dead_letters import DeadLetters
from cryptocdc_consumer.intake import OLDER, Batch, DeadLetter
from cryptocdc_consumer.sink import Sink
from cryptocdc_core.program.metrics import ConsumerMetrics


def settle(sink: Sink, dead_letters: DeadLetters, metrics: ConsumerMetrics) -> None:
    """Handle the outcomes since the last call: what is acknowledged or delivered is no longer pending in its chunk, and
    a refused row becomes a dead letter."""
    settled = sink.settle()
    for batch in settled.acknowledged:
        batch.chunk.pending -= 1
        observe(metrics, batch)
    for batch, (_, record, _), words in settled.refused:
        dead_letters.send(DeadLetter(record, "refused", words, batch.chunk))
    for letter in dead_letters.settle():
        letter.chunk.pending -= 1


def observe(metrics: ConsumerMetrics, batch: Batch) -> None:
    """Count the rows of an acknowledged batch, and their latency."""
    entries = len(batch.entries)
    metrics.rows.labels(batch.table).inc(entries - batch.removals)
    if batch.event is None:
        return
    if batch.deletes:
        metrics.deletes.labels(batch.table).inc(batch.deletes)
    # The first and the last row represent the batch: exact for small batches, cheap for large ones.
    for _, _, change in batch.entries[:: max(1, entries - 1)]:
        if change is OLDER or change.op == "d":
            continue
        event_s, committed_s = batch.event(change) / 1000, change.committed_us / 1_000_000
        metrics.event_seconds.labels(batch.table).observe(max(0.0, batch.acknowledged_at - event_s))
        metrics.commit_seconds.labels(batch.table).observe(max(0.0, batch.acknowledged_at - committed_s))
