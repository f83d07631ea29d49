"""All faults, and the selection of some of them by name."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.clocks import CLOCKS
from tests.faults.exchange import EXCHANGE_FAULTS
from tests.faults.fault import Fault
from tests.faults.kills import KILLS
from tests.faults.links import LINKS
from tests.faults.replication import REPLICATION
from tests.faults.rows import ROWS
from tests.faults.scaling import SCALING
from tests.faults.storage import STORAGE

FAULTS: tuple[Fault, ...] = (*KILLS, *LINKS, *SCALING, *REPLICATION, *STORAGE, *ROWS, *CLOCKS, *EXCHANGE_FAULTS)


def chosen(names: Iterable[str]) -> list[Fault]:
    """Return the faults with these names, or whose names begin with one of them and a dash: `link-flaps`, `kill`.
    Without names, return all. Raises ValueError for a name that fits nothing."""
    wanted = list(names)
    for name in wanted:
        if not any(_is(fault, name) for fault in FAULTS):
            raise ValueError(f"{name!r} is no fault and no group of them; `--list` shows them")
    return [fault for fault in FAULTS if not wanted or any(_is(fault, name) for name in wanted)]


def _is(fault: Fault, name: str) -> bool:
    return fault.name == name or fault.name.startswith(f"{name}-")
