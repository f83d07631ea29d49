"""One Parquet file: rows go into a temporary file, which the caller publishes or removes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cryptocdc_exporter.digest import Digest

ROW_GROUP_BYTES = 16 << 20
"""In memory. Few row groups compress well; two of them are in memory at a time."""
ZSTD_LEVEL = 3


@dataclass(frozen=True)
class Written:
    """A complete temporary file. `versions` is the sum of the rows' versions."""

    path: Path
    rows: int
    versions: int
    size: int
    digest: str


class Draft:
    """Writes row groups in the background, while the next one is made. Finish or abandon it in any case."""

    def __init__(self, path: Path, schema: pa.Schema, background: ThreadPoolExecutor) -> None:
        """Begin to write the file `path`. Raises OSError, and removes the file then."""
        self.path = path
        self.rows = 0
        self._versions = 0
        self._digest = Digest()
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []
        self._bytes = 0
        self._background = background
        self._running: Future[None] | None = None
        integers = [
            field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
        ]
        try:
            self._writer = pq.ParquetWriter(
                path, schema, compression="zstd", compression_level=ZSTD_LEVEL,
                # Ids and times grow in small steps.
                column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
                use_dictionary=[_leaf(field) for field in schema if field.name not in integers],
            )  # fmt: skip
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def add(self, rows: pa.RecordBatch) -> None:
        """Raises OSError."""
        self.rows += rows.num_rows
        self._versions += _sum(rows.column("version"))
        self._pending.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def finish(self, metadata: Mapping[str, str]) -> Written:
        """Complete the file with the metadata, the number of its rows and their digest. Raises OSError."""
        self._flush()
        self._wait()
        found = {"rows": str(self.rows), "versions": str(self._versions), "digest": self._digest.hex()}
        self._writer.add_key_value_metadata(named({**metadata, **found}))
        self._writer.close()
        return Written(self.path, self.rows, self._versions, self.path.stat().st_size, found["digest"])

    def abandon(self) -> None:
        """Remove the file."""
        try:
            self._wait()
        except OSError:
            pass
        finally:
            try:
                self._writer.close()
            except OSError:  # a full disk
                pass
            finally:
                self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._wait()
        if self._pending:
            self._running = self._background.submit(self._write, self._pending)
            self._pending, self._bytes = [], 0

    def _wait(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            running.result()

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        table = pa.Table.from_batches(batches)
        self._writer.write_table(table, row_group_size=table.num_rows)
        for batch in batches:
            self._digest.add(batch)


def named(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{key}": value for key, value in metadata.items()}


def metadata_of(file: Any) -> dict[str, str]:
    """Return the metadata of a file that was exported, {} for any other Parquet file. Raises OSError and, if it is not
    a Parquet file, ArrowInvalid."""
    found = pq.read_metadata(file).metadata or {}
    return {
        key.decode().removeprefix(PREFIX): value.decode()
        for key, value in found.items()
        if key.startswith(PREFIX.encode())
    }


PREFIX = "cryptocdc."


def _leaf(field: pa.Field) -> str:
    """Return the name of the column in the file: that of a list is its elements'."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def _sum(versions: pa.Array) -> int:
    """Return an exact sum: 2**63 is reached with some thousand of them."""
    high = pc.sum(pc.shift_right(versions, 32)).as_py() or 0
    low = pc.sum(pc.bit_wise_and(versions, 0xFFFF_FFFF)).as_py() or 0
    return int(high << 32) + int(low)
