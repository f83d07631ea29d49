"""Exports the hours of one feed's streams, each once it is read completely and agrees with its proof."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa

from cryptocdc_adapters.cassandra.raw_rows import RawTables
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.files import file_path
from cryptocdc_core.storage.windows import Partition, Window, partitions_of, subtract
from cryptocdc_core.time.times import iso
from cryptocdc_exporter.columns import Columns, TooPrecise, decimal_columns
from cryptocdc_exporter.destination import Destination
from cryptocdc_exporter.pages import count
from cryptocdc_exporter.proven import UNPROVEN, HourProof, Proven, hours_of
from cryptocdc_exporter.writing import Draft, Written

log = logging.getLogger("cryptocdc.exporter")


class Stopped(Exception):
    """The user stopped the export; complete files stay."""


@dataclass(frozen=True)
class Stored:
    """Cassandra's partitions of one stream."""

    stream: Stream
    partitions: frozenset[Partition]

    @cached_property
    def prefixes(self) -> list[tuple[str, ...]]:
        return sorted({partition.prefix for partition in self.partitions})

    @property
    def symbols(self) -> set[str]:
        return {prefix[0] for prefix in self.prefixes}

    @property
    def extent(self) -> Window | None:
        """The time of all partitions; None if there are none."""
        windows = [partition.window(self.stream) for partition in self.partitions]
        return Window(min(w.start for w in windows), max(w.end for w in windows)) if windows else None

    def overlapping(self, window: Window, symbols: Sequence[str]) -> list[Partition]:
        """Return the partitions that overlap `window`, sorted by symbol, of all symbols if none are given."""
        return [
            partition
            for prefix in self.prefixes
            if not symbols or prefix[0] in symbols
            for partition in partitions_of(self.stream, prefix, window)
            if partition in self.partitions
        ]


@dataclass
class Counts:
    """Of one stream."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    present: int = 0
    """Hours whose files were there already, with the same proof."""
    unproven: int = 0
    """Hours exported without a proof."""
    changed: list[str] = field(default_factory=list)
    """Hours left out, since their rows are not those of their proof: they have changed since, and the verifier will
    prove them again."""
    through: int | None = None
    """End of the last hour, in ms, up to which everything that is proven was exported or left out; None before that."""
    text: set[str] = field(default_factory=set)
    """Columns that are strings in a file, since a value does not fit the decimal type."""


@dataclass(frozen=True)
class Request:
    feed: str
    source: str
    symbols: Sequence[str]
    """Only of these; of all if there are none."""
    unproven: bool
    """Whether to export hours that are not proven."""
    text: bool
    """Whether decimals are strings in all files."""


class _Files(Enum):
    """What there is of an hour: all files with its proof, some with another one, or neither."""

    PRESENT = "present"
    OLDER = "older"
    NONE = "none"


class StreamExport:
    """The export of one stream into one destination."""

    def __init__(
        self,
        stream: Stream,
        request: Request,
        tables: RawTables,
        destination: Destination,
        background: ThreadPoolExecutor,
        say: Callable[[int], None],
        stopped: Callable[[], bool],
    ) -> None:
        """`say` is called with the number of rows of each page that was read, and with 0 for an hour whose files are
        there already; `stopped` says whether to end. Raises InvalidRequest if Cassandra does not have the table."""
        self.stream = stream
        self.counts = Counts()
        self._request = request
        self._tables = tables
        self._destination = destination
        self._background = background
        self._say = say
        self._stopped = stopped
        self._text = frozenset(decimal_columns(stream) if request.text else ())
        self._statement = tables.prepare(stream, Columns(stream, self._text).selected, ascending=True)
        self._done: dict[int, dict[str, Any]] = {}

    def stored(self) -> Stored:
        """Return Cassandra's partitions, of all symbols."""
        return Stored(self.stream, frozenset(self._tables.partitions(self.stream)))

    def refuse_unproven(self, window: Window, proven: Proven, stored: Stored) -> None:
        """Raise BadInput if the window has rows that are not proven."""
        for gap in subtract([window], proven.windows):
            for hour in hours_of(gap):
                for _, pages in self._tables.read(self._statement, self._parts(hour, stored)):
                    if any(map(count, pages)):
                        loading = proven.is_loading(hour)
                        raise BadInput(
                            f"--from, --to: the rows of {self.stream.table} from {iso(hour.start)} on are not proven;"
                            f" accepted: --to {iso(hour.start)}, --unproven, or wait for"
                            f" {'`cryptocdc history load` of that day' if loading else 'the verifier'}"
                        )

    def run(self, window: Window, proven: Proven, stored: Stored) -> None:
        """Export every hour of `window` that is proven, and with `unproven` the others, unless its files are there
        with the same proof. Raises Stopped, BadInput, OSError and the driver's exceptions."""
        for hour in hours_of(window):
            if self._stopped():
                raise Stopped
            proof = proven.hour(hour)
            parts = self._parts(hour, stored)
            # All rows of an hour may have been deleted since it was exported.
            if not parts and (proof is None or proof.rows != 0 or self._request.symbols):
                continue
            if proof is None and not self._request.unproven:
                continue
            symbols = sorted({partition.prefix[0] for partition, _ in parts} or stored.symbols)
            there = _Files.NONE if proof is None else self._files(hour, proof, symbols)
            if there is _Files.PRESENT or not parts:
                self._say(0)  # looking at the files of months in a bucket takes a while
            if there is _Files.PRESENT:
                self.counts.present += 1
            else:
                self._export(hour, proof, parts, stored.symbols if there is _Files.OLDER else ())

    def _parts(self, hour: Window, stored: Stored) -> list[tuple[Partition, Window]]:
        """Return the partitions that can have rows of the hour, those of a symbol together."""
        return [(partition, hour) for partition in stored.overlapping(hour, self._request.symbols)]

    def _files(self, hour: Window, proof: HourProof, symbols: Sequence[str]) -> _Files:
        """Return whether all files of the hour are there and rest on this proof. A symbol without rows has none."""
        if self._done.get(hour.start) == proof.of_rows:
            return _Files.PRESENT
        rows = versions = 0
        complete = True
        expected = proof.of_rows
        for symbol in symbols:
            found = self._exported(file_path(self.stream, symbol, hour.start))
            if found is None:
                complete = False
                continue
            of = json.loads(found["proof"])
            of.pop("slices", None)
            if not rows and proof.follows(of):
                expected = of
            if of != expected or (self._request.text and found["decimals"] != "text"):
                return _Files.OLDER
            rows, versions = rows + int(found["rows"]), versions + int(found["versions"])
        # Without any file the rows are read: a proof of none may be older than they are.
        present = complete or (rows > 0 and (rows, versions) == (expected["rows"], expected["versions"]))
        if not present:
            return _Files.NONE
        self._done[hour.start] = proof.of_rows
        return _Files.PRESENT

    def _exported(self, path: str) -> dict[str, str] | None:
        """Return the metadata of an exported file, None if there is no file. Raises BadInput if it is another one."""
        try:
            found = self._destination.metadata(path)
        except pa.ArrowInvalid:
            found = {}
        if found is not None and "proof" not in found:
            raise BadInput(
                f"--out: {self._destination.name}: {path} is damaged or was not exported; accepted: no such file, so"
                " that it is exported again"
            )
        return found

    def _export(
        self,
        hour: Window,
        proof: HourProof | None,
        parts: Sequence[tuple[Partition, Window]],
        before: Collection[str] = (),
    ) -> None:
        """Read the hour and publish its files. `before`: the symbols that may have older ones."""
        text = self._text
        while True:
            try:
                written = self._read(hour, proof, parts, text)
                break
            except TooPrecise as error:
                text |= {error.column}  # the whole hour again: all its files have the same columns
        try:
            if proof is not None and proof.rows is not None and not self._request.symbols:
                rows = sum(file.rows for file in written.values())
                versions = sum(file.versions for file in written.values())
                if (rows, versions) != (proof.rows, proof.versions):
                    if self._request.unproven:
                        self._export(hour, None, parts)
                    else:
                        self.counts.changed.append(iso(hour.start))
                    return
                # Before others are replaced: if it ends in between, these show that it is not done.
                self._remove(hour, sorted(set(before) - written.keys()))
            self._destination.publish(
                [(file, file_path(self.stream, symbol, hour.start)) for symbol, file in written.items()]
            )
        finally:
            for file in written.values():
                file.path.unlink(missing_ok=True)
        self.counts.files += len(written)
        self.counts.rows += sum(file.rows for file in written.values())
        self.counts.bytes += sum(file.size for file in written.values())
        self.counts.text |= text - self._text if written else set()
        if proof is None:
            self.counts.unproven += bool(written)
        else:
            self._done[hour.start] = proof.of_rows

    def _remove(self, hour: Window, symbols: Sequence[str]) -> None:
        """Remove the files of symbols that have no row in the hour any more."""
        for symbol in symbols:
            path = file_path(self.stream, symbol, hour.start)
            if self._exported(path) is not None:
                log.info("%s is removed: its rows were deleted", path)
                self._destination.remove(path)

    def _read(
        self, hour: Window, proof: HourProof | None, parts: Sequence[tuple[Partition, Window]], text: frozenset[str]
    ) -> dict[str, Written]:
        """Return a complete temporary file for each symbol with rows; no file is left after an exception."""
        columns, written = Columns(self.stream, text), dict[str, Written]()
        draft: Draft | None = None
        try:
            for symbol, of_symbol in groupby(self._tables.read(self._statement, parts), lambda one: one[0].prefix[0]):
                for partition, pages in of_symbol:
                    for page in pages:
                        rows = columns.batch(page, partition.prefix)
                        if rows.num_rows:
                            draft = draft or Draft(self._destination.draft(), columns.schema, self._background)
                            draft.add(rows)
                            self._say(rows.num_rows)
                        if self._stopped():
                            raise Stopped
                if draft is not None:
                    written[symbol] = draft.finish(self._metadata(symbol, hour, proof, text))
                    draft = None
            return written
        except BaseException:
            if draft is not None:
                draft.abandon()
            for file in written.values():
                file.path.unlink(missing_ok=True)
            raise

    def _metadata(self, symbol: str, hour: Window, proof: HourProof | None, text: frozenset[str]) -> dict[str, str]:
        document: dict[str, Any] = UNPROVEN if proof is None else proof.document()
        every = text.issuperset(decimal_columns(self.stream))
        return {
            "feed": self._request.feed, "source": self._request.source, "stream": self.stream.name, "symbol": symbol,
            "from": iso(hour.start), "to": iso(hour.end), "proof": json.dumps(document),
            "decimals": "text" if every else "decimal" if not text else f"text: {', '.join(sorted(text))}",
        }  # fmt: skip
