"""Streams as people name them on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptocdc_core.catalogue.model import Stream
from cryptocdc_core.program.exits import BadInput


def named(streams: Iterable[Stream], wanted: Sequence[str], whose: str = "") -> tuple[Stream, ...]:
    """Return those of `streams` with these names or tables, such as recentTrades or recent_trades; all if none are
    wanted. `whose`: words for the error about others, such as "those of the feed: ". Raises BadInput."""
    streams = tuple(streams)
    unknown = [name for name in wanted if not any(name in (stream.name, stream.table) for stream in streams)]
    if unknown:
        accepted = ", ".join(stream.name for stream in streams) or "none"
        raise BadInput(f"--stream: {', '.join(map(repr, unknown))} is not accepted; accepted: {whose}{accepted}")
    return tuple(stream for stream in streams if not wanted or {stream.name, stream.table} & set(wanted))
