"""CQL fragments for Grafana: the partitions of a time range, and decimals cast to numbers that a panel can draw."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from cryptocdc_core.catalogue import Bucket, Stream

RANGE_END, NOW = "(timestamp)$__timeTo", "current_timestamp()"
_LENGTH = {Bucket.HOUR: "1h", Bucket.DAY: "1d", Bucket.MONTH: "1mo"}


def number(expression: str, name: str) -> str:
    """Cast a decimal to double, since the plugin can't read decimals: for drawing only, never for calculation."""
    return f"CAST({expression} AS double) AS {name}"


def reported(column: str, least: int = 0) -> str:
    """The condition that selects the rows in which a nullable number is not null; no value is below `least`. The plugin
    would draw a null as 0. CQL has no IS NOT NULL here, but no comparison holds for null."""
    return f"{column} >= {least}"


def separately(columns: Sequence[str], nullable: Container[str]) -> list[list[str]]:
    """Return the columns by query: those that are never null first, if any, then each nullable one, whose query leaves
    rows out. A row without that value still has the others."""
    always = [column for column in columns if column not in nullable]
    return ([always] if always else []) + [[column] for column in columns if column in nullable]


def newest_buckets(bucket: Bucket, count: int) -> str:
    """Return the condition that selects the last `count` partitions of the dashboard's range. No query reads more,
    however long the range is. Cassandra floors the time, since Grafana can't list the hours of a range.
    """
    return f"{bucket.value} IN ({_newest(bucket, count, RANGE_END)})"


def newest_of(stream: Stream, counts: Mapping[Bucket, int], end: str = RANGE_END) -> str:
    """Return the condition that selects the last `counts` partitions of each of the stream's bucket lengths, up to
    `end`, which is NOW where there is no range.

    A query can't branch on the value of a variable, so it names partitions of every length; those whose length does
    not match the variable are empty.
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
