"""Programs added and removed under load."""

from __future__ import annotations

import copy

from cryptocdc_local.applier import apply
from cryptocdc_local.running import run
from tests.faults.cell import Cell
from tests.faults.fault import Fault

MOST = 4


def out_and_in(cell: Cell) -> None:
    """1 → 4 → 1 producers and consumers, as `cryptocdc apply` does it while the feed runs."""
    seconds = round(cell.random.uniform(8, 15), 1)
    cell.note(seconds=seconds)
    for count in (MOST, 1):
        _scale(cell, count)
        cell.hold(seconds)


def _scale(cell: Cell, count: int) -> None:
    it, document = cell.it, copy.deepcopy(cell.document)
    document["spec"]["scaling"] |= {"producers": count, "consumers": count}
    applied = run.resolved(document, it.chosen, it.applied.symbols)
    apply(run.planned_of(applied, it.servers), it.servers, lambda _: None)
    it.store.write(applied)
    for kind in ("producer", "consumer"):
        cell.wait(f"{count} {kind}s", lambda kind=kind: len(it.programs.names(kind)) == count)  # type: ignore[misc]


SCALING = (
    Fault(
        "scale-out-and-in", "1 → 4 → 1 producers and consumers", out_and_in, sign="change to the feed applied"
    ),
)  # fmt: skip
