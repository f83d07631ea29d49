"""What was seen of a cell, and whether it is as declared."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

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
    recovered_s: float = 0.0
    repeated: int = 0
    """Changes that were sent or written again, and made no difference."""
    highest_lag: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": self.outcome}

    @property
    def outcome(self) -> str:
        return self.declared if not self.problem else "failed"


def judge(fault: Fault, result: Result, report: dict[str, Any]) -> None:
    """Set `problem` if rows are missing, extra or different."""
    wrong = {k: getattr(result, k) for k in ("missing", "different", "trades_missing")}
    if not fault.extra_from:
        wrong["extra"] = result.extra
    if any(wrong.values()):
        keys = json.dumps(report.get("keys", [])[:3], default=str)
        result.problem = ", ".join(f"{count} {kind}" for kind, count in wrong.items() if count) + f": {keys[:600]}"
    elif not result.rows:
        result.problem = "nothing was compared"
    elif fault.outcome is Outcome.SNAPSHOT and not result.repeated:
        result.problem = "no row was sent again: there was no new snapshot"
