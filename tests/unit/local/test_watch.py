"""What a run prints while it captures, also where there is no screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cryptocdc_adapters.metrics.figures import Figures, Samples
from cryptocdc_local import commands


def printed(monkeypatch: pytest.MonkeyPatch, repairs: Sequence[str]) -> list[str]:
    """Return the lines printed by a run whose figures have these repairs, one after the other."""
    monkeypatch.setattr(commands, "REFRESH_S", 0.0)
    nothing, left = Figures("f", []).update(Samples(), {}), list(repairs)
    it: Any = SimpleNamespace(
        halted=None, note="", history="", event="", chosen=SimpleNamespace(capture="folder"),
        figures=lambda: replace(nothing, repair=left.pop(0)),
        simulator=SimpleNamespace(capture_finished=lambda: not left),
    )  # fmt: skip
    out = StringIO()
    commands._watch(it, Console(file=out, width=200), None, False, 0.0)
    return out.getvalue().split("\n")


def test_each_change_of_what_was_repaired_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = "1 rows repaired (never_sent 1)", "2 rows repaired (never_sent 2); 1 rows left (limit 1)"
    lines = printed(monkeypatch, ["", one, one, two, two])
    assert [line for line in lines if line] == [f"repair: {one}", f"repair: {two}"]


def test_repairs_of_a_verifier_that_started_again_are_printed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = "1 rows repaired (never_sent 1)"
    assert [line for line in printed(monkeypatch, [one, "", one]) if line] == [f"repair: {one}"] * 2
