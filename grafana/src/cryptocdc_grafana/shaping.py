"""Grafana's transformations of a result before it is drawn: to one frame with fixed column names in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, MatcherConfig

Shaping = tuple[DataTransformerConfig, ...]


def transformation(name: str, *, only: str = "", **options: Any) -> DataTransformerConfig:
    """`only`: the query whose frames to transform, or a pattern if it starts with a slash."""
    matcher = MatcherConfig(id_val="byRefId", options=only) if only else None
    return DataTransformerConfig(id_val=name, filter_val=matcher, options=options)


MERGED = transformation("merge")
"""Merges frames into one: the Cassandra plugin returns a frame for each value of the first column."""


def ordered(*columns: str, without: Sequence[str] = ()) -> DataTransformerConfig:
    """Put the columns in that order: the Infinity plugin sorts them by name."""
    order = {name: at for at, name in enumerate(columns)}
    return transformation(
        "organize", excludeByName=dict.fromkeys(without, True), indexByName=order, renameByName={}, includeByName={}
    )


def sorted_by(column: str, *, descending: bool = False) -> DataTransformerConfig:
    return transformation("sortBy", sort=[{"field": column, "desc": descending}])


def ranked(column: str, limit: int) -> Shaping:
    """Sort in descending order and keep the first `limit` rows."""
    limited = transformation("limit", limitField=limit)
    return MERGED, sorted_by(column, descending=True), limited, ordered("symbol", column)


def by_time(*columns: str) -> Shaping:
    """Return one frame, oldest first, without the symbol column."""
    return MERGED, sorted_by("time"), ordered("time", *columns, without=["symbol"])


def since_the_start(column: str, name: str) -> Shaping:
    """Return a series `name` for each symbol: the relative change of `column` since its first value in the range.

    No data source can do that alone, so the panel sends its query twice: B gives each symbol's first value and is
    joined to A. Grouping also drops a frame's name, which would become part of the column names.
    """
    first, last = f"{column} (first)", f"{column} (last)"
    by_symbol: dict[str, Any] = {"symbol": {"aggregations": [], "operation": "groupby"}}

    def grouped(aggregation: str, **more: Any) -> dict[str, Any]:
        return by_symbol | more | {column: {"aggregations": [aggregation], "operation": "aggregate"}}

    return (
        transformation("merge", only="A"),
        transformation("merge", only="B"),
        sorted_by("time"),
        transformation("groupBy", only="/B/", fields=grouped("first")),
        transformation("groupBy", only="/A/", fields=grouped("last", time=by_symbol["symbol"])),
        transformation("joinByField", byField="symbol", mode="inner"),
        _calculated("ratio", last, "/", {"matcher": {"id": "byName", "options": first}}),
        _calculated(name, "ratio", "-", {"fixed": "1"}),
        transformation("filterFieldsByName", include={"names": ["symbol", "time", name]}),
        transformation("partitionByValues", fields=["symbol"], keepFields=False, naming={"asLabels": True}),
    )


def _calculated(name: str, left: str, operator: str, right: dict[str, Any]) -> DataTransformerConfig:
    operands = {"left": {"matcher": {"id": "byName", "options": left}}, "operator": operator, "right": right}
    return transformation("calculateField", mode="binary", alias=name, replaceFields=False, binary=operands)
