"""Compares one table: by count and digest of each Cassandra partition, then key by key where those differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cryptocdc_core.catalogue import Bucket, Stream
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Partition, Window, day_of
from cryptocdc_verifier.comparing.canonical import Key, Tally, digest_of, key_of, time_of, version_of

Kind = Literal["missing", "extra", "different"]

SUSPECTS = 20_000
"""Differing keys kept in memory until they are read again; if there are more, that happens in several rounds."""
KEPT = 100
"""Maximum number of a table's differences kept with both values, if not more are asked for; others are only counted."""
ROUNDS = 2
"""How often a differing key is read again before it is reported."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose rows differ: missing in Cassandra, extra there, or with other values."""

    stream: Stream
    partition: Partition
    key: Key
    postgres: bytes | None
    cassandra: bytes | None

    @property
    def kind(self) -> Kind:
        if self.cassandra is None:
            return "missing"
        return "extra" if self.postgres is None else "different"


@dataclass
class TableResult:
    """The result of comparing a table. `rows` are PostgreSQL's, or those computed again; `first` is the earliest time
    of a differing key."""

    rows: int = 0
    buckets: int = 0
    unequal_buckets: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    first: int | None = None
    computed: bool = False
    """Whether the rows were computed again, for lack of a table in PostgreSQL."""
    kept: list[Difference] = field(default_factory=list)
    most_kept: int = KEPT

    @property
    def counts(self) -> dict[Kind, int]:
        """The number of differing keys by kind."""
        return {"missing": self.missing, "extra": self.extra, "different": self.different}

    @property
    def equal(self) -> bool:
        return not any(self.counts.values())

    def count(self, difference: Difference) -> None:
        setattr(self, difference.kind, getattr(self, difference.kind) + 1)
        at = time_of(difference.stream, difference.key)
        self.first = at if self.first is None else min(self.first, at)
        if len(self.kept) < self.most_kept:
            self.kept.append(difference)


Lines = dict[tuple[Partition, Key], bytes]

Resolve = Callable[[Sequence[Difference]], Sequence[Difference]]
"""Given differences of one table, returns those that remain; may repair the others."""


def count_all(differences: Sequence[Difference]) -> Sequence[Difference]:
    """Repair nothing."""
    return differences


class Rows(Protocol):
    """PostgreSQL's rows as of one moment."""

    lsn: int

    def read(self, stream: Stream, window: Window, take: Callable[[bytes], None]) -> None: ...

    def read_partition(
        self, stream: Stream, partition: Partition, window: Window, take: Callable[[bytes], None]
    ) -> None: ...


class Copies(Protocol):
    """Cassandra's current rows."""

    def read(
        self, stream: Stream, partitions: Iterable[Partition], window: Window
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]: ...


class Comparison:
    """Compares windows of one table and collects suspects, keys that seem to differ; `result` is final after `settle`.

    `snapshot` takes a new snapshot of PostgreSQL, `wait` returns once everything before a position has passed the
    pipeline, `paced` is called with the number of rows read and may delay. `dropped` are the starts of days whose rows
    PostgreSQL has dropped: rows that only Cassandra has are expected there. What `resolve` returns is counted.
    """

    def __init__(
        self,
        stream: Stream,
        cassandra: Copies,
        snapshot: Callable[[], AbstractContextManager[Rows]],
        wait: Callable[[int], None],
        paced: Callable[[int], None] = lambda _: None,
        dropped: Container[int] = (),
        resolve: Resolve = count_all,
    ) -> None:
        self.stream = stream
        self.result = TableResult()
        self._cassandra = cassandra
        self._snapshot = snapshot
        self._wait = wait
        self._paced = paced
        self._dropped = dropped
        self._resolve = resolve
        self.suspects: dict[Partition, set[Key]] = {}

    def compare(self, rows: Rows, window: Window, theirs: Iterable[Partition]) -> None:
        """Compare `window` in the snapshot `rows` with Cassandra. `theirs`: Cassandra's partitions that may overlap it.

        Everything in the snapshot must have passed the pipeline already.
        """
        ours = self._tallies(rows, window)
        partitions = {p for p in theirs if p.window(self.stream).meet(window)}
        self.result.rows += sum(tally.rows for tally in ours.values())
        unequal = []
        for partition, lines in self._cassandra.read(self.stream, sorted(ours.keys() | partitions), window):
            tally = Tally()
            tally.add_all(lines)
            self._paced(tally.rows)
            self.result.buckets += 1 if tally.rows or partition in ours else 0
            if tally != ours.get(partition, Tally()):
                unequal.append(partition)
        for partition in unequal:
            self._suspect(rows, partition, window)

    def _tallies(self, rows: Rows, window: Window) -> Mapping[Partition, Tally]:
        """Return count and digest of PostgreSQL's rows by Cassandra partition."""
        floor = _floor(self.stream)
        prefix_at = [self.stream.key.index(name) for name in self.stream.partition]
        time_at = self.stream.key.index(self.stream.time)
        found: defaultdict[tuple[tuple[bytes, ...], int], Tally] = defaultdict(Tally)
        split = len(self.stream.key)

        def take(line: bytes) -> None:
            fields = line.split(b"\t", split)
            prefix = tuple([fields[at] for at in prefix_at])
            found[prefix, floor(prefix[-1], int(fields[time_at]))].add(line)

        rows.read(self.stream, window, take)
        return {
            Partition(tuple(part.decode() for part in prefix), bucket): tally
            for (prefix, bucket), tally in found.items()
        }

    def _suspect(self, rows: Rows, partition: Partition, window: Window) -> None:
        """Add the differing keys of an unequal partition to the suspects."""
        digests: dict[Key, int] = {}

        def take(line: bytes) -> None:
            digests[key_of(self.stream, line)] = digest_of(line)

        rows.read_partition(self.stream, partition, window, take)
        differ = set()
        for _, lines in self._cassandra.read(self.stream, [partition], window):
            for line in lines:
                key = key_of(self.stream, line)
                if digests.pop(key, None) != digest_of(line):
                    differ.add(key)
        differ |= digests.keys()
        if differ:
            self.suspects.setdefault(partition, set()).update(differ)
        if sum(map(len, self.suspects.values())) > SUSPECTS:
            self.settle()

    def settle(self) -> None:
        """Read the suspects again until each is cleared or counted as different."""
        settle([self], self._snapshot, self._wait)

    def rows_of_suspects(self, rows: Rows) -> Lines:
        """Return the suspects' rows in PostgreSQL."""
        found: Lines = {}
        for partition, keys in self.suspects.items():

            def take(line: bytes, partition: Partition = partition, keys: set[Key] = keys) -> None:
                key = key_of(self.stream, line)
                if key in keys:
                    found[partition, key] = line

            rows.read_partition(self.stream, partition, self._span(keys), take)
        return found

    def copies_of_suspects(self) -> Lines:
        """Return the suspects' rows in Cassandra."""
        found: Lines = {}
        for partition, keys in self.suspects.items():
            for _, lines in self._cassandra.read(self.stream, [partition], self._span(keys)):
                for line in lines:
                    key = key_of(self.stream, line)
                    if key in keys:
                        found[partition, key] = line
        return found

    def check_suspects(self, before: Lines, copies: Lines, after: Lines, *, last: bool) -> None:
        """Clear the suspects that are equal; in the `last` round, resolve the others and count what remains."""
        still: dict[Partition, set[Key]] = {}
        differences = []
        for partition, keys in self.suspects.items():
            for key in sorted(keys):
                at = partition, key
                dropped = day_of(time_of(self.stream, key)).start in self._dropped
                if dropped and self._outlives(copies.get(at), after.get(at)):
                    continue
                if self._consistent(before.get(at), copies.get(at), after.get(at)):
                    continue
                still.setdefault(partition, set()).add(key)
                if last:
                    differences.append(Difference(self.stream, partition, key, after.get(at), copies.get(at)))
        # Before differences are resolved, which compares keys of the same table again.
        self.suspects = {} if last else still
        if differences:
            remaining = self._resolve(differences)
            for difference in remaining:
                self.result.count(difference)
            self.result.unequal_buckets += len({difference.partition for difference in remaining})

    def _span(self, keys: Iterable[Key]) -> Window:
        times = [time_of(self.stream, key) for key in keys]
        return Window(min(times), max(times) + 1)

    def _outlives(self, copy: bytes | None, row: bytes | None) -> bool:
        """Return whether `copy` is what a dropped day leaves behind: a row that only Cassandra has, or one that is
        newer than a late row that PostgreSQL has received since, such as a line of the exchange's archive."""
        if row is None:
            return True
        return copy is not None and version_of(self.stream, row) < version_of(self.stream, copy)

    def _consistent(self, first: bytes | None, copy: bytes | None, second: bytes | None) -> bool:
        """Return whether `copy` is one of the states that the row had between two readings of PostgreSQL."""
        if copy in (first, second):
            return True
        if copy is None or second is None:
            return False
        low = -1 if first is None else version_of(self.stream, first)
        return low < version_of(self.stream, copy) < version_of(self.stream, second)


def settle(
    comparisons: Sequence[Comparison], snapshot: Callable[[], AbstractContextManager[Rows]], wait: Callable[[int], None]
) -> None:
    """Read the suspects of some comparisons again, on both sides, ROUNDS times, and count those that still differ.

    PostgreSQL is read before and after Cassandra: a row that changes meanwhile is equal if Cassandra has it as in
    either reading, or with a version in between. All comparisons wait for the pipeline together.
    """
    for left in reversed(range(ROUNDS)):
        pending = [comparison for comparison in comparisons if comparison.suspects]
        if not pending:
            return
        with snapshot() as rows:
            wait(rows.lsn)
            before = [comparison.rows_of_suspects(rows) for comparison in pending]
        copies = [comparison.copies_of_suspects() for comparison in pending]
        with snapshot() as rows:
            after = [comparison.rows_of_suspects(rows) for comparison in pending]
        for comparison, first, copied, second in zip(pending, before, copies, after, strict=True):
            comparison.check_suspects(first, copied, second, last=left == 0)


def _floor(stream: Stream) -> Callable[[bytes, int], int]:
    """Return a function from (last column before the bucket, time) to the bucket's start, fast for many rows of few
    days."""
    by_day: dict[tuple[bytes, int], int] = {}

    def floor(last: bytes, at: int) -> int:
        day = last, at // DAY_MS
        if day not in by_day:
            by_day[day] = stream.bucket_of([last.decode()]).floor(at)
        return by_day[day]

    def hour(_last: bytes, at: int) -> int:
        return Bucket.HOUR.floor(at)

    return hour if stream.bucket is Bucket.HOUR else floor
