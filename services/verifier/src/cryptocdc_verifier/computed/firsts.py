"""Since when computed rows must be there, by what is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.storage.windows import Partition
from cryptocdc_verifier.comparing.canonical import key_of, time_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide

Firsts = dict[tuple[str, ...], int]
"""The time of the first row that must be there, in milliseconds since the epoch, by the columns of the partition key
before the bucket: symbol, or symbol and interval."""


def firsts(
    cassandra: CassandraSide,
    source: Stream,
    stream: Stream,
    intervals: Collection[tuple[str, ...]],
    since_ms: int | None = None,
    known: Mapping[tuple[str, ...], int] | None = None,
) -> Firsts:
    """Return since when `stream`, computed from `source`, must have rows: from the first one on, as the analyzer starts
    with what Kafka still has. Where there is none, from the newest hour with rows of the source on, or, given
    `since_ms`, from the oldest such hour that ends after it.

    `intervals` are what follows the symbol in the key: one empty tuple, or each interval. What is `known` remains.
    """
    known = known or {}
    hours: dict[str, int] = {}
    for partition in cassandra.partitions(source):
        symbol, hour = partition.prefix[0], partition.bucket
        if since_ms is None:
            hours[symbol] = max(hours.get(symbol, hour), hour)
        elif partition.window(source).end > since_ms:
            hours[symbol] = min(hours.get(symbol, hour), hour)
    found = {(symbol, *interval): hour for symbol, hour in hours.items() for interval in intervals}
    oldest: dict[tuple[str, ...], Partition] = {}
    for partition in cassandra.partitions(stream):
        if partition.prefix[1:] in intervals and partition.prefix not in known:
            before = oldest.get(partition.prefix, partition)
            oldest[partition.prefix] = min(before, partition, key=lambda one: one.bucket)
    for prefix, partition in oldest.items():
        read = cassandra.read(stream, [partition], partition.window(stream))
        times = [time_of(stream, key_of(stream, line)) for _, lines in read for line in lines]
        if times:
            found[prefix] = min(times)
    return found | dict(known)
