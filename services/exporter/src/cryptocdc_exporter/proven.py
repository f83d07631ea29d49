"""Which hours are proven, and by what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.storage.windows import Window, day_of, subtract
from cryptocdc_core.time.times import iso

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class HourProof:
    """The proof of one table's hour, of all symbols together. `rows` and `versions`, the sum of the rows' versions, are
    None if the proof has none: of a day that was dropped from PostgreSQL since, and of computed tables. `read_ms`: when
    the last of the archive's files of the day was read, None if it has none."""

    slices: tuple[Proof, ...]
    rows: int | None
    versions: int | None
    read_ms: int | None = None

    @property
    def of_rows(self) -> dict[str, Any]:
        """The part of the document that is the same as long as the rows are: slices are merged."""
        archive = {} if self.read_ms is None else {"archive": iso(self.read_ms)}
        return {"state": "proven", "rows": self.rows, "versions": self.versions, **archive}

    def follows(self, of_rows: dict[str, Any]) -> bool:
        """Return whether this proof has lost the sums of another one, given as `of_rows`, and is otherwise the same:
        the day was dropped from PostgreSQL since, and nothing of it was loaded from an archive."""
        exact = of_rows.get("rows") is not None
        return exact and self.rows is None and self.of_rows == of_rows | {"rows": None, "versions": None}

    def document(self) -> dict[str, Any]:
        """Return the proof as files name it."""
        slices = [
            {"from": iso(s.window.start), "to": iso(s.window.end), "rows": s.rows, "lsn": s.lsn} for s in self.slices
        ]
        return {**self.of_rows, "slices": slices}


UNPROVEN: dict[str, Any] = {"state": "unproven"}


@dataclass(frozen=True)
class Proven:
    """What is proven of one table. `closing_ms`: how long after its time a row is final, that of a window its
    length."""

    proofs: Sequence[Proof]
    dropped: Collection[int]
    """Days in milliseconds, proven and then dropped from PostgreSQL, or loaded from an archive."""
    computed: bool = False
    closing_ms: int = 0
    archived: Mapping[int, int | None] = field(default_factory=dict)
    """Days of an archive's files, as `archived_days` returns them. They count as dropped before they are loaded."""

    @cached_property
    def windows(self) -> list[Window]:
        """The windows whose rows are proven."""
        days = [day for day in map(day_of, self.dropped) if not self.is_loading(day)]
        gaps = subtract([Window(0, _END)], [*(proof.window for proof in self.proofs), *days])
        return subtract([Window(0, _END)], [Window(max(0, gap.start - self.closing_ms), gap.end) for gap in gaps])

    def is_loading(self, window: Window) -> bool:
        """Return whether files of the archive are still to be loaded or proven of the day in which a window begins."""
        return self.archived.get(day_of(window.start).start, 0) is None

    def through(self) -> int:
        """Return the end of the last hour of which everything is proven, 0 if there is none."""
        return max((window.end - window.end % HOUR_MS for window in self.windows), default=0)

    def hour(self, hour: Window) -> HourProof | None:
        """Return the proof of an hour; None if not all of it is proven."""
        if subtract([hour], self.windows):
            return None
        slices = tuple(proof for proof in self.proofs if proof.window.meet(hour))
        exact = not self.computed and not subtract([hour], [s.window for s in slices])
        day = day_of(hour.start).start
        if day in self.dropped or not exact:
            return HourProof(slices, None, None, self.archived.get(day))
        return HourProof(slices, sum(s.rows for s in slices), sum(s.versions for s in slices))


def hours_of(window: Window) -> Iterator[Window]:
    """Yield the hours that overlap `window`."""
    for start in range(window.start - window.start % HOUR_MS, window.end, HOUR_MS):
        yield Window(start, start + HOUR_MS)


_END = 1 << 53
