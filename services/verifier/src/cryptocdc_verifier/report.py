"""The result of a verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptocdc_core.storage.windows import Window
from cryptocdc_core.time.times import iso
from cryptocdc_verifier.comparing.tables import TableResult
from cryptocdc_verifier.computed.tables import CLOSED_AFTER_MS
from cryptocdc_verifier.repair.repairs import Repairs


@dataclass
class Report:
    """`window` is the compared time, in milliseconds; `taken` is when PostgreSQL was read.

    `quarantined` is the number of pending dead letters, `quarantined_symbols` the number by the symbol of their key.
    `keys` describes differing keys, as returned by `explain`, and `repairs` what was repaired; None if not requested.
    """

    feed: str
    source: str
    window: Window
    taken: int
    tables: dict[str, TableResult] = field(default_factory=dict)
    quarantined: int = 0
    quarantined_symbols: dict[str, int] = field(default_factory=dict)
    keys: list[dict[str, Any]] | None = None
    repairs: Repairs | None = None

    @property
    def rows(self) -> int:
        """PostgreSQL's: those of computed tables are not among them."""
        return sum(table.rows for table in self.tables.values() if not table.computed)

    @property
    def missing(self) -> int:
        return sum(table.missing for table in self.tables.values())

    @property
    def extra(self) -> int:
        return sum(table.extra for table in self.tables.values())

    @property
    def different(self) -> int:
        return sum(table.different for table in self.tables.values())

    @property
    def equal(self) -> bool:
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Why the result is not equal, None if it is."""
        if not all(table.equal for table in self.tables.values()):
            found = {"missing": self.missing, "extra": self.extra, "different": self.different}
            return ", ".join(f"{count} {kind}" for kind, count in found.items() if count)
        if self.rows == 0:
            return "nothing was compared: PostgreSQL has no rows in this window, which proves nothing"
        return None

    def proven_through(self, table: TableResult) -> int:
        """Return the time up to which nothing differs: the end of the window, or the first differing key's time."""
        taken = self.taken - CLOSED_AFTER_MS if table.computed else self.taken
        end = min(self.window.end, taken)
        return end if table.first is None else min(end, table.first)

    def to_json(self) -> dict[str, Any]:
        proven = {name: self.proven_through(table) for name, table in self.tables.items()}
        document: dict[str, Any] = {
            "feed": self.feed,
            "source": self.source,
            "equal": self.equal,
            "proven_through": iso(min(proven.values())) if self.rows else None,
            "window": {"from": iso(self.window.start), "to": iso(min(self.window.end, self.taken))},
            "rows": self.rows,
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "quarantined": self.quarantined,
            "tables": {
                name: {
                    "rows": table.rows,
                    "missing": table.missing,
                    "extra": table.extra,
                    "different": table.different,
                    "buckets": table.buckets,
                    "proven_through": iso(proven[name]),
                }
                for name, table in self.tables.items()
            },
        }
        if self.quarantined_symbols:
            document["quarantined_symbols"] = self.quarantined_symbols
        if self.reason is not None:
            document["reason"] = self.reason
        if self.repairs is not None:
            document["repair"] = self.repairs.to_json()
        if self.keys is not None:
            document["keys"] = self.keys
        return document
