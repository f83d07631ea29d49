"""The benchmark's report: its targets, and which of them are missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.report import TARGETS, Report


@pytest.fixture
def report() -> Report:
    made = Report()
    for name, values in {
        "end_to_end.tuned_rows_per_s": (44_000, 46_000, 38_000),
        "end_to_end.ratio_to_naive": (31, 29, 30),
        "first_candles_s": (30, 31, 12),
        "history.grown_mib": (5,),
    }.items():
        for value in values:
            made.add(name, value)
    return made


def test_the_goals_are_those_of_the_project() -> None:
    goals = {
        "end_to_end.tuned_rows_per_s": (">=", 45_000), "end_to_end.ratio_to_naive": (">=", 30),
        "first_candles_s": ("<", 30), "from_cassandra.rows_per_s": (">=", 150_000),
    }  # fmt: skip
    assert goals.items() <= TARGETS.items()


def test_a_target_is_missed_if_the_median_is(report: Report) -> None:
    assert list(report.missed()) == ["end_to_end.tuned_rows_per_s", "first_candles_s"]


def test_the_file_says_which_targets_are_missed(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "report.json")

    written = json.loads((tmp_path / "report.json").read_text())
    assert written["missed"] == {"end_to_end.tuned_rows_per_s": ">= 45,000", "first_candles_s": "< 30"}
    assert written["met"] == {"end_to_end.ratio_to_naive": ">= 30"}
    assert written["end_to_end"]["tuned_rows_per_s"] == 44_000
