"""Pieces of CQL for Grafana: partitions of a time range, decimals as the numbers that a panel draws."""

from __future__ import annotations

from cryptocdc_core.catalogue import Bucket

_LENGTH = {Bucket.HOUR: "1h", Bucket.DAY: "1d", Bucket.MONTH: "1mo"}


def number(expression: str, name: str) -> str:
    """A decimal as a double, since the plugin knows no decimals: for drawing, never for reckoning."""
    return f"CAST({expression} AS double) AS {name}"


def newest_buckets(bucket: Bucket, count: int) -> str:
    """The last `count` partitions of the dashboard's range: no query reads more, however long the range is.

    Cassandra floors the time itself, since Grafana can't list the hours of a range.
    """
    length = _LENGTH[bucket]
    unit = length.removeprefix("1")
    ends = ["(timestamp)$__timeTo", *(f"(timestamp)$__timeTo - {back}{unit}" for back in range(1, count))]
    return f"{bucket.value} IN ({', '.join(f'floor({end}, {length})' for end in ends)})"


def within(column: str) -> str:
    return f"{column} >= $__timeFrom AND {column} <= $__timeTo"
