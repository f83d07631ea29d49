"""Where a stream's rows are in a folder of Parquet files."""

from __future__ import annotations

from urllib.parse import quote

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.time.times import iso

SUFFIX = ".parquet"


def stream_folder(stream: Stream) -> str:
    return f"stream={stream.name}"


def file_path(stream: Stream, symbol: str, hour_ms: int) -> str:
    """Return the path of the file with the rows of one symbol and hour, partitioned as Hive does."""
    at = iso(hour_ms)
    return f"{stream_folder(stream)}/symbol={quote(symbol, safe='')}/date={at[:10]}/{at[11:13]}{SUFFIX}"
