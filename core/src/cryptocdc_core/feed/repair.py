"""The part of a feed that says whether the verifier repairs what it finds, and the words for what it repaired."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from cryptocdc_core.feed.base import FeedModel


class Repair(FeedModel):
    """What the verifier does about rows that are missing or different in Cassandra."""

    enabled: bool = False
    """`true`: rows that are missing or different in Cassandra are sent through the pipeline again where that is
    harmless, and compared again. `cryptocdc verify --repair` does it once."""
    max_rows_per_hour: int = Field(1000, ge=1, le=100_000, alias="maxRowsPerHour")
    """Maximum number of rows to repair in an hour; more are left and reported. A verifier that starts again counts from
    zero."""


def repair_line(repaired: Mapping[str, int], left: Mapping[str, int]) -> str:
    """Return what was repaired, by cause, and left, by reason; empty if nothing was either."""
    parts = [
        f"{sum(counts.values())} rows {what} ({', '.join(f'{name} {count}' for name, count in counts.items())})"
        for what, counts in (("repaired", repaired), ("left", left))
        if counts
    ]
    return "; ".join(parts)
