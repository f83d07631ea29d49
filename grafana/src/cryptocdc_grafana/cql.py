"""Pieces of CQL for Grafana: partitions of a time range, decimals as the numbers that a panel draws."""

from __future__ import annotations

from collections.abc import Mapping

from cryptocdc_core.catalogue import Bucket, Stream

RANGE_END, NOW = "(timestamp)$__timeTo", "current_timestamp()"
_LENGTH = {Bucket.HOUR: "1h", Bucket.DAY: "1d", Bucket.MONTH: "1mo"}


def number(expression: str, name: str) -> str:
    """A decimal as a double, since the plugin knows no decimals: for drawing, never for reckoning."""
    return f"CAST({expression} AS double) AS {name}"


def reported(column: str, least: int = 0) -> str:
    """The condition that selects the rows in which a nullable number is not null; no value is below `least`. The plugin
    would draw a null as 0. CQL has no IS NOT NULL here, but no comparison holds for null."""
    return f"{column} >= {least}"


def newest_buckets(bucket: Bucket, count: int) -> str:
    """The last `count` partitions of the dashboard's range: no query reads more, however long the range is.

    Cassandra floors the time itself, since Grafana can't list the hours of a range.
    """
    return f"{bucket.value} IN ({_newest(bucket, count, RANGE_END)})"


def newest_of(stream: Stream, counts: Mapping[Bucket, int], end: str = RANGE_END) -> str:
    """Return the condition that selects the last so many partitions of each length that the stream's buckets have,
    until `end`, which is NOW where there is no range.

    A query can't choose by the value of a variable: it names partitions of each length, and those of another length
    than the variable's are empty.
    """
    lengths = dict.fromkeys((stream.bucket, *stream.finer_buckets.values()))
    return f"{stream.bucket_column} IN ({', '.join(_newest(bucket, counts[bucket], end) for bucket in lengths)})"


def _newest(bucket: Bucket, count: int, end: str) -> str:
    length = _LENGTH[bucket]
    unit = length.removeprefix("1")
    ends = [end, *(f"{end} - {back}{unit}" for back in range(1, count))]
    return ", ".join(f"floor({at}, {length})" for at in ends)


def within(column: str) -> str:
    return f"{column} >= $__timeFrom AND {column} <= $__timeTo"
