"""What Grafana does with an answer before it is drawn: one frame with columns of fixed names, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, MatcherConfig

Shaping = tuple[DataTransformerConfig, ...]


def transformation(name: str, *, only: str = "", **options: Any) -> DataTransformerConfig:
    """`only`: of the frames whose query is called so; a pattern where it begins with a slash."""
    matcher = MatcherConfig(id_val="byRefId", options=only) if only else None
    return DataTransformerConfig(id_val=name, filter_val=matcher, options=options)


MERGED = transformation("merge")
"""One frame of many: the Cassandra plugin answers with one for each value of the first column."""


def ordered(*columns: str, without: Sequence[str] = ()) -> DataTransformerConfig:
    """The columns in that order: the Infinity plugin sorts them by their names."""
    order = {name: at for at, name in enumerate(columns)}
    return transformation(
        "organize", excludeByName=dict.fromkeys(without, True), indexByName=order, renameByName={}, includeByName={}
    )


def sorted_by(column: str, *, descending: bool = False) -> DataTransformerConfig:
    return transformation("sortBy", sort=[{"field": column, "desc": descending}])


def ranked(column: str, limit: int) -> Shaping:
    """The greatest first, and no more than `limit` of them."""
    limited = transformation("limit", limitField=limit)
    return MERGED, sorted_by(column, descending=True), limited, ordered("symbol", column)


def by_time(*columns: str) -> Shaping:
    """One frame, oldest first, without the name of its symbol."""
    return MERGED, sorted_by("time"), ordered("time", *columns, without=["symbol"])


def since_the_start(column: str, name: str) -> Shaping:
    """A series `name` for each symbol: by which share `column` has changed since its first value in the range.

    No data source can do that alone, so the panel asks twice: B gives the first value of each symbol and is joined to
    A. Grouping also drops a frame's name, which would become part of the columns' names.
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
