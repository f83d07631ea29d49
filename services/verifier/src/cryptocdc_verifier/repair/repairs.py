"""Repairs differences: sends PostgreSQL's rows through the pipeline again, and compares them again afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.time.times import iso_us, now_ms
from cryptocdc_verifier.comparing.canonical import Key, version_of
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.postgres import PostgresSide
from cryptocdc_verifier.comparing.tables import Comparison, Difference
from cryptocdc_verifier.differences.dead_letters import LETTERS_KEPT, Pending, read_pending
from cryptocdc_verifier.differences.explain import investigate
from cryptocdc_verifier.repair.decision import (
    CHANGED,
    EXTRA,
    LETTERS,
    LIMIT,
    TRANSFORM,
    Grant,
    Leave,
    Reason,
    Send,
    decide,
    is_final,
)
from cryptocdc_verifier.repair.resend import Resent, resend
from cryptocdc_verifier.target import Target

BATCH_ROWS = 500
"""Rows sent again in one transaction."""
MOST_IN_VAIN = 100_000


@dataclass
class Repairs:
    """What was repaired and what was left, by table; the number of rows by cause, and of those left also by reason.

    `until_us`: when all rows that only need time to pass can be repaired, by table.
    """

    repaired: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: Counter[tuple[str, str, Reason]] = field(default_factory=Counter)
    until_us: dict[str, int] = field(default_factory=dict)

    def leave(self, table: str, cause: str, leave: Leave, rows: int = 1) -> None:
        if rows:
            self.left[table, cause, leave.why] += rows
        if leave.until_us is not None:
            self.until_us[table] = max(leave.until_us, self.until_us.get(table, 0))

    def to_json(self) -> dict[str, Any]:
        """Return the numbers of repaired and left rows, in all and by table: by cause, and those left by reason."""
        tables: dict[str, dict[str, Any]] = {}
        for table in sorted({*(of for of, _ in self.repaired), *(of for of, _, _ in self.left)}):
            repaired = {cause: count for (of, cause), count in self.repaired.items() if of == table}
            left = [
                {"cause": cause, "rows": count, "why": why.text}
                for (of, cause, why), count in self.left.items()
                if of == table
            ]
            tables[table] = {"repaired": sum(repaired.values()), "causes": repaired, "left": left}
            if table in self.until_us:
                tables[table]["repairable_from"] = iso_us(self.until_us[table])
        return {"repaired": self.repaired.total(), "left": self.left.total(), "tables": tables}


class Repairer:
    """Repairs one feed's captured rows; `repairs` has the results, which the caller may take away. Nothing is repaired
    of the tables in `with_extra`, to which those with extra rows are added."""

    def __init__(
        self,
        target: Target,
        postgres: PostgresSide,
        cassandra: CassandraSide,
        wait: Callable[[int], None],
        grant: Grant,
        paced: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`wait` returns once everything before a position has passed the pipeline; `grant` bounds the number of rows,
        `paced` is called with the number of rows sent and may delay."""
        self.repairs = Repairs()
        self.with_extra: set[str] = set()
        self._target = target
        self._postgres = postgres
        self._cassandra = cassandra
        self._wait = wait
        self._grant = grant
        self._paced = paced
        self._in_vain: set[tuple[str, Key]] = set()
        """Rows that were sent again without effect."""

    def resolve(self, differences: Sequence[Difference]) -> list[Difference]:
        """Repair what may be repaired of one table's differences, and return the others.

        Of a table with extra rows nothing is repaired, since PostgreSQL may have lost rows. Each row is sent at most
        twice: first as it is, unless something that wins over it is known, then with a version above everything that
        can be there; if that was in vain, never again. Raises the errors of the databases' clients, VerifyError.
        """
        stream = differences[0].stream
        table = stream.table
        if any(difference.kind == "extra" for difference in differences):
            self.with_extra.add(table)
        letters = Pending()
        refused = None
        if self._target.feed.spec.transform is not None:
            refused = TRANSFORM
        elif table in self.with_extra:
            refused = EXTRA
        else:
            # Each slice reads them again, of a topic that may have millions: one more than are kept is too many.
            letters = read_pending(self._target.kafka, self._target.names, LETTERS_KEPT + 1)
            if letters.count > len(letters.letters):
                refused = LETTERS
        if refused is not None:
            for kind, count in Counter(difference.kind for difference in differences).items():
                self.repairs.leave(table, kind, Leave(refused), count)
            return list(differences)
        left: list[Difference] = []
        causes: dict[Key, str] = {}
        differing: Sequence[Difference] = differences
        for resent in (False, True):
            wanted = []
            for difference, cause, action in self._decided(stream, differing, letters, resent=resent):
                first = causes.setdefault(difference.key, cause)
                if (table, difference.key) in self._in_vain:
                    action = Leave(CHANGED)
                if isinstance(action, Leave):
                    self.repairs.leave(table, first, action)
                    left.append(difference)
                else:
                    wanted.append((difference, action.version))
            if not resent:
                granted = self._grant(len(wanted))
                for difference, _ in wanted[granted:]:
                    self.repairs.leave(table, causes[difference.key], Leave(LIMIT))
                    left.append(difference)
                wanted = wanted[:granted]
            differing = self._sent(stream, wanted)
            still = {difference.key for difference in differing}
            for difference, _ in wanted:
                if difference.key not in still:
                    self.repairs.repaired[table, causes[difference.key]] += 1
        for difference in differing:
            self.repairs.leave(table, causes[difference.key], Leave(CHANGED))
            if len(self._in_vain) < MOST_IN_VAIN:
                self._in_vain.add((table, difference.key))
        return [*left, *differing]

    def _decided(
        self, stream: Stream, differences: Sequence[Difference], letters: Pending, *, resent: bool
    ) -> Iterator[tuple[Difference, str, Send | Leave]]:
        """Yield each difference with the name of its cause and what to do about it."""
        at_ms = now_ms()
        if not differences:
            return
        for finding in investigate(self._target, self._cassandra, letters, stream, differences):
            row, cause = finding.difference.postgres, finding.cause
            if row is None:  # deleted meanwhile, and its delete has passed the pipeline
                yield finding.difference, cause.name, Leave(EXTRA)
                continue
            final = is_final(stream, row, at_ms)
            yield (
                finding.difference,
                cause.name,
                decide(cause, version_of(stream, row), at_ms * 1000, final=final, resent=resent),
            )

    def _sent(self, stream: Stream, wanted: Sequence[tuple[Difference, int]]) -> list[Difference]:
        """Send rows again with the given versions, and return those that differ once they have passed the pipeline."""
        rows = (
            Resent(difference.key, version_of(stream, difference.postgres), version)
            for difference, version in wanted
            if difference.postgres is not None
        )
        while batch := list(islice(rows, BATCH_ROWS)):
            resend(self._postgres.connection, self._target.names, stream, batch)
            self._paced(len(batch))
        found: list[Difference] = []

        def collect(differences: Sequence[Difference]) -> Sequence[Difference]:
            found.extend(differences)
            return ()

        again = Comparison(stream, self._cassandra, self._postgres.snapshot, self._wait, resolve=collect)
        for difference, _ in wanted:
            again.suspects.setdefault(difference.partition, set()).add(difference.key)
        again.settle()
        return found
