"""What was seen of a cell, and whether it is as declared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.time.times import parse
from tests.faults.fault import Fault, Outcome


@dataclass
class Result:
    """What was seen of a cell. `problem` says why it is not as declared; "" if it is."""

    fault: str
    seed: int
    commit: str
    at: str
    declared: str
    problem: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    sign: str = ""
    """What was to be seen of it, as it was seen."""
    seen: list[str] = field(default_factory=list)
    rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    quarantined: int = 0
    gaps_open: int = 0
    trades_missing: int = 0
    """Ids between a symbol's first and last trade that are not even in PostgreSQL."""
    lost: int = 0
    """Those of the extra and different rows that the fault explains (`Fault.loses`)."""
    recovered_s: float = 0.0
    resent: int = 0
    """Changes that were sent to Kafka or written to Cassandra more than once, and made no difference."""
    snapshot_rows: int = 0
    """Rows that were in Kafka before the fault, and that a snapshot sent again after it."""
    snapshot_left: int = 0
    """Those that none sent again."""
    highest_lag: int = 0
    died: list[str] = field(default_factory=list)
    """The kinds of programs that died."""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": self.outcome}

    @property
    def outcome(self) -> str:
        return self.declared if not self.problem else "failed"


def judge(
    fault: Fault, result: Result, keys: Sequence[Mapping[str, Any]], lost: tuple[float, float] | None = None
) -> None:
    """Set `problem` if the cell is not as declared. `keys`: the differing keys, as `verify --json` describes them.
    `lost`: the time, from and to in ms, whose rows PostgreSQL has lost."""
    result.problem = _unequal(fault, result, keys, lost) or _undeclared(fault, result)


def _unequal(fault: Fault, result: Result, keys: Sequence[Mapping[str, Any]], lost: tuple[float, float] | None) -> str:
    explained = [key for key in keys if fault.loses and lost is not None and _is_lost(key, lost)]
    result.lost = len(explained)
    wrong = {kind: getattr(result, kind) for kind in ("missing", "extra", "different")}
    for key in explained:
        wrong[key["kind"]] -= 1
    wrong["trades_missing"] = result.trades_missing
    if any(wrong.values()):
        left = json.dumps([key for key in keys if key not in explained][:3], default=str)
        return ", ".join(f"{count} {kind}" for kind, count in wrong.items() if count) + f": {left[:600]}"
    return ""


def _undeclared(fault: Fault, result: Result) -> str:
    if not result.rows:
        return "nothing was compared"
    if fault.outcome is Outcome.SNAPSHOT and not result.snapshot_rows:
        return "no row was read again: there was no new snapshot"
    if fault.outcome is Outcome.SNAPSHOT and result.snapshot_left and not fault.loses:
        return f"the new snapshot lacks {result.snapshot_left} rows that were sent before the fault"
    if fault.outcome is Outcome.CONVERGES and result.snapshot_rows:
        return f"a new snapshot was taken: {result.snapshot_rows} rows were read again"
    if unexpected := sorted(set(result.died) - set(fault.dies)):
        return f"died of it, unexpectedly: {', '.join(unexpected)}"
    return ""


def _is_lost(key: Mapping[str, Any], lost: tuple[float, float]) -> bool:
    """Return whether a row is only in Cassandra, or was captured again, because PostgreSQL has lost that time. A trade
    that was captured again has the version that it had, and Cassandra keeps either `received_at`."""
    at_ms = parse(key["key"][by_table(key["table"]).time])
    return lost[0] <= at_ms <= lost[1] and (key["kind"] == "extra" or list(key["columns"]) == ["received_at"])
