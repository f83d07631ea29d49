"""The streams, each declared once: DDL, connector, decoder, writer, API and dashboards derive from here."""

from cryptocdc_core.catalogue.computed import COMPUTED
from cryptocdc_core.catalogue.model import Bucket, Column, Derived, Stream, Type
from cryptocdc_core.catalogue.named import named
from cryptocdc_core.catalogue.streams import (
    AUDIT,
    DERIVED,
    HEATMAP,
    NEWEST,
    NEWEST_PRICES,
    NEWEST_STATS,
    SHARD,
    STREAMS,
)


def by_table(table: str) -> Stream:
    """Return the captured or computed stream with that table. Raises KeyError if there is none."""
    for stream in STREAMS.values():
        if stream.table == table:
            return stream
    return COMPUTED[table]


__all__ = [
    "AUDIT",
    "COMPUTED",
    "DERIVED",
    "HEATMAP",
    "NEWEST",
    "NEWEST_PRICES",
    "NEWEST_STATS",
    "SHARD",
    "STREAMS",
    "Bucket",
    "Column",
    "Derived",
    "Stream",
    "Type",
    "by_table",
    "named",
]
