"""The streams, each declared once: DDL, connector, decoder, writer, API and dashboards derive from here."""

from cryptocdc_core.catalogue.model import Bucket, Column, Derived, Stream, Type
from cryptocdc_core.catalogue.streams import (
    AUDIT,
    DERIVED,
    HEATMAP,
    NEWEST,
    NEWEST_PRICES,
    NEWEST_STATS,
    STREAMS,
    by_table,
)

__all__ = [
    "AUDIT",
    "DERIVED",
    "HEATMAP",
    "NEWEST",
    "NEWEST_PRICES",
    "NEWEST_STATS",
    "STREAMS",
    "Bucket",
    "Column",
    "Derived",
    "Stream",
    "Type",
    "by_table",
]
