"""The end of a run with an end: its result, its messages and its exit code."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from rich.console import Console

from cryptocdc_core.program.exits import Exit
from cryptocdc_local import commands
from cryptocdc_local.running.draining import OpenGap
from cryptocdc_local.running.run import Run

EQUAL = {"equal": True, "rows": 5, "missing": 0, "extra": 0, "different": 0}
UNEQUAL = EQUAL | {"equal": False, "missing": 1, "reason": "1 row is missing"}
GAP = OpenGap("recent_trades", "BTCUSDT", "", 10, 19)
OTHER_GAP = OpenGap("klines", "ETHUSDT", "1m", 60_000, 120_000)

RUN = cast(
    "Run",
    SimpleNamespace(
        servers=None,
        plan=SimpleNamespace(names=SimpleNamespace(fid="majors_sim")),
        applied=SimpleNamespace(feed=SimpleNamespace(name="majors"), source="simulated"),
        rows_before={"recent_trades": 3},
    ),
)


class Ending:
    """Runs `_finish` with servers that answer with these gaps, counted rows and report."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.code: int = Exit.OK
        self.messages = ""

    def run(self, gaps: list[OpenGap], rows: int, report: dict[str, Any], as_json: bool = True) -> None:
        self._patch.setattr(commands, "drain", lambda *_: gaps)
        self._patch.setattr(commands, "count_rows", lambda *_: {"recent_trades": rows})
        self._patch.setattr(commands, "prove", lambda *_: report)
        output = io.StringIO()
        try:
            commands._finish(RUN, Console(file=output, width=400), as_json)
        except typer.Exit as ended:
            self.code = ended.exit_code
        self.messages = output.getvalue()


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Ending:
    return Ending(monkeypatch)


def test_a_run_that_is_complete_and_equal_ends_well(ending: Ending, capsys: pytest.CaptureFixture[str]) -> None:
    ending.run([], 8, EQUAL)
    assert ending.code == Exit.OK
    assert "not everything was captured" not in ending.messages
    result = json.loads(capsys.readouterr().out)
    assert result["captured"] == {"recent_trades": 5}
    assert result["gaps_open"] == 0


@pytest.mark.parametrize(
    ("gaps", "named"),
    [
        ([GAP], "open gap in recent_trades of BTCUSDT, 10 to 19;"),
        ([GAP, OTHER_GAP], "open gap in recent_trades of BTCUSDT, 10 to 19 and 1 more;"),
    ],
)
def test_a_run_that_ends_with_open_gaps_is_unequal_and_says_so(
    ending: Ending, capsys: pytest.CaptureFixture[str], gaps: list[OpenGap], named: str
) -> None:
    ending.run(gaps, 8, EQUAL)
    assert ending.code == Exit.UNEQUAL
    assert "not everything was captured" in ending.messages
    assert named in ending.messages
    result = json.loads(capsys.readouterr().out)
    assert result["gaps_open"] == len(gaps)
    assert result["verify"] == EQUAL


def test_without_json_open_gaps_are_reported_after_the_figures(ending: Ending) -> None:
    ending.run([GAP], 8, EQUAL, as_json=False)
    assert ending.code == Exit.UNEQUAL
    assert "captured 5 rows; compared 5: missing 0" in ending.messages
    assert "open gap in recent_trades of BTCUSDT" in ending.messages


def test_a_run_whose_rows_differ_is_unequal(ending: Ending) -> None:
    ending.run([], 8, UNEQUAL)
    assert ending.code == Exit.UNEQUAL


def test_a_run_that_captured_nothing_is_unequal_and_says_so(ending: Ending) -> None:
    ending.run([], 3, EQUAL)
    assert ending.code == Exit.UNEQUAL
    assert "nothing was captured" in ending.messages
