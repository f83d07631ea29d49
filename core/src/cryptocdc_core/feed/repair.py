"""The part of a feed that says whether the verifier repairs what it finds."""

from __future__ import annotations

from pydantic import Field

from cryptocdc_core.feed.base import FeedModel


class Repair(FeedModel):
    """What the verifier does about rows that are missing or different in Cassandra."""

    enabled: bool = False
    """`true`: rows that are missing or different in Cassandra are sent through the pipeline again where that is
    harmless, and compared again. `cryptocdc verify --repair` does it once."""
    max_rows_per_hour: int = Field(1000, ge=1, le=100_000, alias="maxRowsPerHour")
    """Maximum number of rows to repair in an hour; more are left and reported."""
