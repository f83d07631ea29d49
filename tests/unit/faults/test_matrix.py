"""The table of faults, the cells that were seen, and the table made of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.faults.fault import Outcome
from tests.faults.matrix import FAULTS, chosen
from tests.faults.report import BEGIN, END, PAGE, Report, render, table
from tests.faults.result import Result

GROUPS = (
    "kill", "stop", "freeze", "link-cut", "link-half-open", "link-slow", "link-resets", "link-flaps", "link-narrow",
    "scale", "slot", "disk-full", "clock", "exchange",
)  # fmt: skip


def result(fault: str = "kill-producer", seed: int = 1, commit: str = "abc", **more: object) -> Result:
    at = f"2026-11-29T01:{'00' if more.get('problem') else '01'}:00Z"
    return Result(fault, seed, commit, at, Outcome.CONVERGES.value, **more)  # type: ignore[arg-type]


def test_faults_have_names_of_their_own_and_there_are_at_least_forty() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 40
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name) for name in names)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_chosen_by_the_beginning_of_its_names(group: str) -> None:
    found = chosen([group])
    assert found
    assert all(fault.name.startswith(group) for fault in found)


def test_a_link_is_disturbed_in_six_ways_for_each_of_five_parts() -> None:
    assert len(chosen(["link"])) == 30
    assert len(chosen(["link-flaps"])) == 5


def test_a_name_that_fits_no_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="'link-flap' is no fault"):
        chosen(["kill-api", "link-flap"])


def test_without_names_all_faults_are_chosen() -> None:
    assert chosen([]) == list(FAULTS)


def test_a_fault_that_halts_says_what_is_to_be_seen_and_what_to_do_then() -> None:
    for fault in FAULTS:
        assert (fault.outcome is Outcome.HALTS) == (fault.remedy is not None), fault.name
        assert fault.outcome is not Outcome.HALTS or fault.sign, fault.name


def test_a_fault_says_what_is_to_be_seen_of_it_or_why_nothing_is() -> None:
    for fault in FAULTS:
        assert bool(fault.visible) != bool(fault.absorbed), fault.name


def test_cells_of_several_runs_are_kept_and_one_that_is_run_again_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "out" / "report.json"
    Report(file).add(result(rows=1))
    Report(file).add(result(seed=2, rows=2))
    Report(file).add(result(rows=3))
    Report(file).add(result("kill-api", rows=4))
    found = [(cell["fault"], cell["seed"], cell["rows"]) for cell in Report(file).cells]
    assert found == [("kill-api", 1, 4), ("kill-producer", 1, 3), ("kill-producer", 2, 2)]


def test_a_failed_cell_stays_beside_a_later_one_of_the_same_commit_and_is_history_after_another(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json")
    for commit, problem in (("abc", "1 missing"), ("abc", ""), ("def", "")):
        report.add(result(commit=commit, problem=problem, rows=9, sign="producer died"))
        (latest,) = report.latest("kill-producer")
        assert (latest["commit"], latest["problem"]) == (commit, "1 missing" if commit == "abc" else "")
    assert len(report.cells) == 3


def test_a_failed_cell_of_code_that_was_not_committed_is_replaced(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json")
    for problem in ("1 missing", ""):
        report.add(result(commit="abc+", problem=problem, rows=9))
    assert [cell["problem"] for cell in report.cells] == [""]


def test_cells_of_another_clone_are_added_once_without_those_of_no_commit(tmp_path: Path) -> None:
    other = Report(tmp_path / "other.json")
    for commit, problem in (("", ""), ("abc", "1 missing"), ("abc", "")):
        other.add(result(commit=commit, problem=problem))
    report = Report(tmp_path / "report.json")
    report.add(result("kill-api"))
    for _ in range(2):
        report.merge(tmp_path / "other.json")
    assert [(cell["fault"], cell["commit"]) for cell in report.cells] == [
        ("kill-api", "abc"), ("kill-producer", "abc"), ("kill-producer", "abc")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "has"),
    [
        ({"rows": 9, "sign": "run: producer died"}, True),
        ({"rows": 9, "seen": ["run: producer died"]}, True),
        ({"rows": 0, "sign": "run: producer died"}, False),
        ({"rows": 9, "sign": "run: api is slow"}, False),
        ({"rows": 9, "sign": "run: producer died", "problem": "1 missing"}, False),
    ],
    ids=["as declared", "its sign among others", "nothing compared", "another sign", "failed"],
)
def test_a_cell_is_missing_until_it_was_seen_as_declared(tmp_path: Path, more: dict[str, Any], has: bool) -> None:
    report = Report(tmp_path / "report.json")
    report.add(result(**more))
    (fault,) = chosen(["kill-producer"])
    assert report.has(fault, 1) == has
    assert not report.has(fault, 2)


def test_the_table_has_only_what_was_seen_and_says_what_was_not_run(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json")
    sign = "run: fN_sim-producer-N died and was restarted"
    report.add(result(seed=1, recovered_s=2.6, resent=7, highest_lag=100, sign=sign))
    report.add(result(seed=7, recovered_s=11.0, resent=7, highest_lag=2000, sign=sign))
    report.add(result("kill-api", problem="3 missing", missing=3))
    lines = table(report, chosen(["kill-producer", "kill-api", "kill-verifier"])).splitlines()
    assert f"| converges | 1, 7 | `{sign}` | 0, 0, 0 | 3–11 s | 7 | 100–2,000 |" in lines[2]
    assert "not run" in lines[3]
    assert "**failed** with 1 | 1 | **not seen** with 1 | 3, 0, 0 |" in lines[4]
    assert lines[-1] == "3 cells of 2 of 3 faults were seen (2026-11-29)."


def test_the_table_counts_what_postgres_itself_has_lost_and_says_so_below(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json")
    report.add(result("postgres-restored", extra=96, different=13, lost=109, sign="taking a new snapshot"))
    (fault,) = chosen(["postgres-restored"])
    lines = table(report, [fault]).splitlines()
    assert "| 0, 96, 13 ¹ |" in lines[2]
    assert lines[-1] == f"¹ {fault.loses}"


def test_the_table_has_an_upper_bound_where_derived_tables_were_counted(tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json")
    report.add(result())
    report.cells[0] = {**report.cells[0], "repeated": 1300}
    del report.cells[0]["resent"]
    assert "| ≤ 1,300 |" in table(report, chosen(["kill-producer"]))


def test_a_cell_that_failed_says_so_as_its_outcome() -> None:
    assert result().outcome == "converges"
    assert result(problem="1 missing").outcome == "failed"


def test_the_page_gets_the_table_between_its_markers_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text("before\n<!-- cells -->\nold\n<!-- end of cells -->\nafter\n", encoding="utf-8")
    render(Report(tmp_path / "report.json"), chosen(["kill-api"]), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- cells -->\n| fault |")
    assert text.endswith("\n<!-- end of cells -->\nafter\n")
    assert "old" not in text


def test_the_documentation_has_the_table_of_the_committed_report() -> None:
    assert f"{BEGIN}\n{table(Report(), FAULTS)}\n{END}" in PAGE.read_text(encoding="utf-8")
