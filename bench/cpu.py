"""CPU time by process. Unlike rows per second it hardly depends on the machine's other load."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def seconds(pids: dict[str, int]) -> dict[str, float]:
    """Return seconds of CPU time by name: each process with its children, including those that have ended."""
    stats = dict(_stats())
    found = {}
    for name, pid in pids.items():
        family = [pid, *(child for child, (parent, _) in stats.items() if parent == pid)]
        found[name] = sum(stats[member][1] for member in family if member in stats) / TICKS_PER_S
    return found


def _stats() -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield by pid: its parent, and the ticks used by it and its reaped children (proc(5), /proc/pid/stat)."""
    for pid in _pids():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        fields = text[text.rindex(")") + 2 :].split()
        yield pid, (int(fields[1]), sum(map(int, fields[11:15])))


def _pids() -> Iterable[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
