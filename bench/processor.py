"""What a row costs: CPU time by process. Next to rows a second it hardly depends on what else the machine does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def spent(pids: dict[str, int]) -> dict[str, float]:
    """Seconds of CPU time by name, of each process and its children, those that have ended included."""
    stats = dict(_stats())
    found = {}
    for name, pid in pids.items():
        family = [pid, *(child for child, (parent, _) in stats.items() if parent == pid)]
        found[name] = sum(stats[member][1] for member in family if member in stats) / TICKS_A_SECOND
    return found


def _stats() -> Iterator[tuple[int, tuple[int, int]]]:
    """By pid: its parent, and the ticks that it and its waited-for children have used (proc(5), /proc/pid/stat)."""
    for pid in _pids():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        fields = text[text.rindex(")") + 2 :].split()
        yield pid, (int(fields[1]), sum(map(int, fields[11:15])))


def _pids() -> Iterable[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
