"""What is to be loaded of a feed's past, and what became of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Series, Venue
from cryptocdc_history.recent import Part
from cryptocdc_producer.archive.plan import REST_DAYS, Days, gaps
from cryptocdc_producer.archive.survey import Survey
from cryptocdc_verifier.target import Target


@dataclass(frozen=True)
class Options:
    begins: Mapping[str, int]
    """The time in ms from which on a table is loaded."""
    to_ms: int | None
    """Exclusive; None: now."""
    series: Sequence[Series]
    folder: Path
    accept_mismatch: bool = False
    only_plan: bool = False
    chosen: Collection[str] = ()
    """Symbols that are refused if the archive has no file of them in the range, or the exchange does not list them;
    others are left out."""
    refuse_beyond: bool = True
    """Whether more days than REST is for are refused; else those before are left out."""

    @property
    def from_ms(self) -> int:
        return min(self.begins.values())


@dataclass(frozen=True)
class Load:
    """What is to be loaded, of which feed."""

    target: Target
    venue: Venue
    options: Options


@dataclass
class Result:
    """What became of a range: its files, and the parts that are fetched over REST."""

    load: Load
    days: dict[str, Days]
    """By table."""
    survey: Survey
    only_plan: bool = False
    estimated: int = 0
    parts: list[Part] = field(default_factory=list)

    @property
    def missing(self) -> list[HistoryFile]:
        """The files that the archive lacks between others."""
        return list(gaps(self.survey.records))

    @property
    def unknown(self) -> list[str]:
        """The symbols of which the archive has nothing at all in the range."""
        there = {it.symbol for it in self.survey.records if it.state != "absent"}
        return sorted({it.symbol for it in self.survey.records} - there)

    @property
    def failed(self) -> list[HistoryFile]:
        files = [it for it in self.survey.records if it.state not in ("proven", "absent")]
        return files + [it.record for it in self.parts if it.record.state == "planned"]

    @property
    def complete(self) -> bool:
        return self.only_plan or not (self.failed or self.missing)

    def to_json(self) -> dict[str, Any]:
        states = Counter(it.state for it in self.survey.records)
        target = self.load.target
        return {
            "feed": target.feed.name,
            "source": target.source,
            "from": times.iso(self.load.options.from_ms),
            "to": times.iso(times.now_ms() if self.load.options.to_ms is None else self.load.options.to_ms),
            "files": dict(sorted(states.items())),
            "bytes": sum(max(0, it.bytes or 0) for it in self.survey.records if it.state != "absent"),
            "rows": self.estimated if self.only_plan else sum(it.rows or 0 for it in self.survey.records),
            "complete": self.complete,
            "missing": [it.path for it in self.missing],
            "failed": {it.path: it.reason for it in self.failed} if not self.only_plan else {},
            "not_loaded_days": {
                table: {"expired": it.expired, "kept": it.kept, "beyond": it.beyond} for table, it in self.days.items()
            },
            "over_rest": [
                {
                    "table": it.record.table_name,
                    "symbol": it.record.symbol,
                    "kind": it.record.kind,
                    "from": times.iso(it.record.start_ms),
                    "to": times.iso(it.record.end_ms),
                    "state": it.record.state,
                    "reason": it.record.reason,
                    "rows": it.record.rows,
                }
                for it in self.parts
            ],
        }

    def text(self) -> str:
        states = Counter(it.state for it in self.survey.records)
        rows = sum(it.rows or 0 for it in self.survey.records if it.state == "proven")
        lines = [f"{it.path}: {it.state}: {it.reason}" for it in self.failed] if not self.only_plan else []
        lines += [f"{it.path}: missing: the archive has files before and after it" for it in self.missing]
        records = [part.record for part in self.parts if part.missing is not None]
        lines += [f"{it.path}: {it.state}: {it.reason}" for it in records if it.state == "absent"]
        lines += self.notes()
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
        lines.append(f"{counts or 'no files'}" + (f"; {rows:,} rows proven in Cassandra" if rows else ""))
        fetched = [it for it in records if it.state == "loaded"]
        if fetched:
            of_parts = f"{len(fetched):,} {'part' if len(fetched) == 1 else 'parts'}"
            lines[-1] += f"; over REST {of_parts}, {sum(it.rows or 0 for it in fetched):,} rows"
        return "\n".join(lines)

    def notes(self) -> list[str]:
        """Say which days are not loaded, and why."""
        found, feed = [], self.load.target.feed
        for table, it in self.days.items():
            kept = feed.spec.retention
            if it.expired:
                found.append(
                    f"{table}: days not loaded: {it.expired:,}, older than retention.cassandra, {kept.cassandra}"
                )
            if it.beyond:
                found.append(
                    f"{table}: days not loaded: {it.beyond:,}, within retention.postgres, {kept.postgres}, and before"
                    f" the {REST_DAYS} days for which REST is used"
                )
            if left := [part.missing for part in self.parts if part.missing and part.record.table_name == table]:
                begin = times.iso(min(missing.from_ms for missing in left))[:16]
                found.append(
                    f"{table}: {len(left):,} series over REST from {begin} on, up to the first row captured: PostgreSQL"
                    f" keeps these days (retention.postgres, {kept.postgres})"
                )
            if it.kept:
                found.append(
                    f"{table}: days not loaded: {it.kept:,}, which PostgreSQL has not dropped yet, as it does once they"
                    " are proven; `cryptocdc backfill` fetches what is missing of them"
                )
        without = [part.record for part in self.parts if part.missing is None]
        for (table, reason), count in Counter((it.table_name, it.reason) for it in without).items():
            begin = times.iso(self.days[table].recent[0])[:10]
            found.append(
                f"{table}: {count:,} series not fetched from {begin} on: {reason}; live capture has what came since it"
                " began, and the days before that are loaded once PostgreSQL has dropped them"
            )
        if self.unknown:
            found.append(
                f"{', '.join(self.unknown)}: the archive has no file of this time, such as before a market's listing"
            )
        for series in self.survey.unpublished:
            found.append(
                f"{series.table} {series.symbol} {series.kind}: the archive has only whole months of it; of others"
                " nothing is loaded"
            )
        return found
