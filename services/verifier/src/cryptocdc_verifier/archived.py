"""Proves a file of an exchange's archive: its count and every value, digit by digit, against Cassandra.

The file is read again, plainly, by other code than that which loaded it; the venue only says which column a field is.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.catalogue import Stream, Type, by_table
from cryptocdc_core.feed.model import expiry_margin_ms
from cryptocdc_core.rows.versions import Rank, archive_version
from cryptocdc_core.storage.windows import Partition, Window, partitions_of
from cryptocdc_core.time.times import iso, now_ms
from cryptocdc_exchanges.port import Format
from cryptocdc_verifier.comparing.canonical import Key, Tally, digest_of, key_of, ordered, time_of, version_of
from cryptocdc_verifier.comparing.tables import Copies
from cryptocdc_verifier.delivery.stalls import STALLED_S, Clock
from cryptocdc_verifier.delivery.waiting import KafkaOffsets, wait_for_group
from cryptocdc_verifier.target import Target

_OF_THE_READING = ("version", "received_at", "event_time")
"""Columns that say when a row was read, and nothing about the market."""
_MILLISECONDS_DIGITS = 13
_BATCH = 10_000


class Lines:
    """The rows of a downloaded file in canonical form, in order of their ids, which is about that of time."""

    def __init__(self, path: Path, form: Format, record: HistoryFile) -> None:
        self.stream = by_table(record.table_name)
        self._path = path
        self._id = form.columns.index(form.id)
        read_ms = record.read_ms or 0
        constant = {
            "symbol": record.symbol, "interval": record.kind, "closed": "t", "event_time": str(read_ms),
            "received_at": str(read_ms), "version": str(archive_version(read_ms)),
        }  # fmt: skip
        self._line = ""
        """A row's line, with "%s" for what is in the file."""
        self._fields: list[tuple[int, Callable[[str], str]]] = []
        """For each of these the field of the file, and how it is converted."""
        for column in ordered(self.stream):
            name = form.same_as.get(column.name, column.name)
            self._line += "\t" if self._line else ""
            if name in form.columns:
                if column.name == self.stream.time:
                    self._time = len(self._fields)
                self._fields.append((form.columns.index(name), _CONVERT.get(column.type, str)))
                self._line += "%s"
            else:
                self._line += constant.get(name, "").replace("%", "%%")

    def batches(self, prefix: tuple[str, ...], window: Window) -> Iterator[tuple[Partition, list[bytes]]]:
        """Yield the lines of the rows in `window` in batches, each of one Cassandra partition. A repeated row counts
        once."""
        bucket = self.stream.bucket_of(prefix)
        start = end = -1
        batch: list[bytes] = []
        before: list[str] = []
        with zipfile.ZipFile(self._path) as archive, archive.open(archive.namelist()[0]) as member:
            for fields in csv.reader(io.TextIOWrapper(member, "ascii", newline="")):
                if fields == before or not fields[self._id].isdigit():  # repeated; the header line
                    continue
                before = fields
                values = [convert(fields[at]) for at, convert in self._fields]
                at_ms = int(values[self._time])
                if not window.start <= at_ms < window.end:
                    continue
                if not start <= at_ms < end or len(batch) >= _BATCH:
                    if batch:
                        yield Partition(prefix, start), batch
                        batch = []
                    start = bucket.floor(at_ms)
                    end = bucket.next(start)
                batch.append((self._line % tuple(values)).encode())
        if batch:
            yield Partition(prefix, start), batch


_CONVERT: dict[Type, Callable[[str], str]] = {
    Type.TIMESTAMP: lambda text: text[:_MILLISECONDS_DIGITS],
    Type.BIGINT: lambda text: text.lstrip("0") or "0",
    Type.BOOLEAN: lambda text: text[0].lower(),
}


@dataclass
class Outcome:
    """What a comparison found. `rows` are the file's; `extra` are rows that only Cassandra has, from other sources."""

    rows: int = 0
    missing: int = 0
    different: int = 0
    unexpected: int = 0
    """Rows that only Cassandra has, and that came from an archive."""
    extra: int = 0
    first: str = ""
    """The first row at fault."""

    @property
    def proven(self) -> bool:
        return self.rows > 0 and not (self.missing or self.different or self.unexpected)

    @property
    def reason(self) -> str:
        if self.proven:
            return f"{self.extra:,} rows of its time are only in Cassandra: captured live" if self.extra else ""
        if not self.rows:
            return "nothing was compared"
        counts = {
            "missing in Cassandra": self.missing,
            "different": self.different,
            "in Cassandra but not in the file": self.unexpected,
        }
        parts = [f"{count:,} {what}" for what, count in counts.items() if count]
        return f"{', '.join(parts)}; {self.first}"

    def blame(self, kind: str, stream: Stream, key: Key) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if not self.first and kind != "extra":
            values = ", ".join(f"{name}={text.decode()}" for name, text in zip(stream.key, key, strict=True))
            self.first = f"the first is {values} at {iso(time_of(stream, key))}"


def compare(lines: Lines, cassandra: Copies, prefix: tuple[str, ...], window: Window) -> Outcome:
    """Compare the file's rows in `window` with Cassandra's: count and digest of each partition, then key by key where
    they differ."""
    stream, outcome = lines.stream, Outcome()
    tallies: defaultdict[Partition, Tally] = defaultdict(Tally)
    for partition, batch in lines.batches(prefix, window):
        tallies[partition].add_all(batch)
    outcome.rows = sum(tally.rows for tally in tallies.values())
    unequal = dict[Partition, int]()
    for partition, copies in cassandra.read(stream, partitions_of(stream, prefix, window), window):
        tally = Tally()
        tally.add_all(copies)
        expected = tallies.get(partition, Tally())
        if tally != expected:
            unequal[partition] = expected.rows
    if unequal:
        _explain(lines, cassandra, unequal, window, outcome)
    return outcome


def _explain(
    lines: Lines, cassandra: Copies, unequal: Mapping[Partition, int], window: Window, outcome: Outcome
) -> None:
    """Count the differing rows of some partitions, each once all of its rows in the file are read. `unequal`: how many
    these are."""
    stream, left = lines.stream, dict(unequal)
    (prefix,) = {partition.prefix for partition in unequal}
    ours: defaultdict[Partition, dict[Key, bytes]] = defaultdict(dict)
    for partition, batch in lines.batches(prefix, window):
        if partition in left:
            ours[partition].update((key_of(stream, line), line) for line in batch)
            if len(ours[partition]) == left[partition]:
                del left[partition]
                _explain_one(stream, cassandra, partition, window, ours.pop(partition), outcome)
    for partition in sorted(left):
        _explain_one(stream, cassandra, partition, window, ours[partition], outcome)


def _explain_one(
    stream: Stream, cassandra: Copies, partition: Partition, window: Window, ours: dict[Key, bytes], outcome: Outcome
) -> None:
    for _, copies in cassandra.read(stream, [partition], window):
        for copy in copies:
            key = key_of(stream, copy)
            line = ours.pop(key, None)
            if line is None:
                archived = version_of(stream, copy) % 1000 == Rank.ARCHIVE
                outcome.blame("unexpected" if archived else "extra", stream, key)
            elif digest_of(line) != digest_of(copy) and not _replaced(stream, line, copy):
                outcome.blame("different", stream, key)
    for key in ours:
        outcome.blame("missing", stream, key)


def _replaced(stream: Stream, line: bytes, copy: bytes) -> bool:
    """Return whether `copy` is a newer reading of the same values."""
    if version_of(stream, copy) <= version_of(stream, line):
        return False
    names = [column.name for column in ordered(stream)]
    ours, theirs = (
        [text for name, text in zip(names, it.split(b"\t"), strict=True) if name not in _OF_THE_READING]
        for it in (line, copy)
    )
    return ours == theirs


def wait_for_consumers(target: Target, tables: list[str], stalled_s: float = STALLED_S) -> None:
    """Wait until all records of the tables that are in Kafka now are in Cassandra or are dead letters. Raises
    VerifyError."""
    topics = sorted(target.names.change_topic(table) for table in tables)
    group = target.names.consumer_group
    wait_for_group(KafkaOffsets(target.kafka, topics, group), group, "consumer", Clock(), stalled_s)


def prove(target: Target, cassandra: Copies, form: Format, record: HistoryFile, path: Path) -> Outcome:
    """Compare a loaded file with Cassandra and note the outcome in its record: proven, or planned again with the
    reason."""
    retention_s = target.cassandra_retention_s
    least = 0 if retention_s is None else now_ms() - retention_s * 1000 + expiry_margin_ms(retention_s)
    window = Window(max(record.start_ms, least), max(record.start_ms, least, record.end_ms))
    prefix = (record.symbol, record.kind)[: len(by_table(record.table_name).partition)]
    outcome = compare(Lines(path, form, record), cassandra, prefix, window)
    record.extra = outcome.extra
    kept = record.reason if outcome.proven else ""  # such as a checksum that was accepted
    record.reason = "; ".join(filter(None, (outcome.reason, kept)))
    if outcome.proven:
        record.state = "proven"
    else:
        record.state, record.read_ms = "planned", None
    return outcome
