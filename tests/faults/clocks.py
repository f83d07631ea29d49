"""Programs whose clock is wrong, by libfaketime."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.faults.cell import Cell
from tests.faults.fault import Fault
from tests.faults.works import (
    ALERT,
    BARS,
    PROVEN_S,
    alerter_works,
    analyzer_works,
    api_works,
    verifier_works,
)  # fmt: skip

OFF_S = 10
ABSORBED = "nothing: times of events are the exchange's"
ANALYTICS = {"bars": [BARS, "1m"], "volatility": ["1m"], "bookMetrics": True, "anomalies": [BARS]}
PACKAGE = "libfaketime"


def wrong_clock(kind: str, cell: Cell) -> None:
    """One program is ten seconds ahead or behind for a while; the others, and the exchange, are right."""
    sign, seconds = cell.random.choice("+-"), round(cell.random.uniform(20, 30), 1)
    cell.note(clock=f"{sign}{OFF_S} s", seconds=seconds)
    library = libfaketime(cell.platform.settings.lib)
    programs = cell.it.programs
    try:
        # The monotonic clock is right: nobody sets that one.
        faked = {"LD_PRELOAD": str(library), "FAKETIME": f"{sign}{OFF_S}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        programs.more = {kind: faked}
        for name in programs.names(kind):
            _restart(cell, name)
            maps = Path(f"/proc/{programs.pids()[name]}/maps").read_text(encoding="utf-8")
            assert PACKAGE in maps, f"{name} runs with the right clock"
        cell.hold(seconds)
    finally:
        programs.more = {}
        for name in programs.names(kind):
            _restart(cell, name)


def _restart(cell: Cell, name: str) -> None:
    before = cell.it.programs.pids().get(name)
    cell.it.programs.kill(name)
    cell.wait(f"{name} again", lambda: cell.it.programs.pids().get(name, before) != before)


def libfaketime(lib: Path) -> Path:
    """Return the library, unpacked from Debian's package at the first use; nothing is installed on the machine."""
    folder = lib / PACKAGE
    if not folder.exists():
        draft = folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o755)
        subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=draft, check=True, capture_output=True)
        (package,) = draft.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, draft], check=True, capture_output=True)
        draft.rename(folder)
    (library,) = folder.rglob("libfaketime.so.1")
    return library


CLOCKS = tuple(
    Fault(
        f"clock-{kind}", f"the {called}'s clock is ten seconds off", partial(wrong_clock, kind), absorbed=ABSORBED,
        dies=(kind,), **more,
    )
    for kind, called, more in (
        ("producer", "producer", {}),
        ("consumer", "consumer", {}),
        ("verifier", "verifier", {"works": (verifier_works,), "recovers_s": PROVEN_S}),
        ("alerter", "alerter", {"spec": {"alerts": [ALERT]}, "works": (alerter_works,)}),
        ("analyzer", "analyzer", {"spec": {"analytics": ANALYTICS}, "works": (analyzer_works,)}),
        ("api", "API", {"works": (api_works,)}),
    )
)  # fmt: skip
