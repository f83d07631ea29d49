"""Whether a cell is as its fault declares."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.faults.fault import Fault, Outcome
from tests.faults.matrix import chosen
from tests.faults.result import Result, judge
from tests.faults.sent import sent
from tests.faults.trade_ids import missing_ids
from tests.integration.topics import Found

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.time.times import iso, parse

BEGAN_MS = parse("2026-11-29T13:00:00Z")
LOST = (BEGAN_MS, BEGAN_MS + 10_000)
(KILL,) = chosen(["kill-producer"])
(SLOT,) = chosen(["slot-dropped"])
(RESTORED,) = chosen(["postgres-restored"])


def judged(
    fault: Fault, keys: list[dict[str, Any]] | None = None, lost: tuple[float, float] | None = None, **seen: Any
) -> Result:
    result = Result(fault.name, 1, "abc", "2026-11-29T13:00:00Z", fault.outcome.value, **{"rows": 100, **seen})
    judge(fault, result, keys or [], lost)
    return result


def key(kind: str, at_ms: float, table: str = "latest_prices", *columns: str) -> dict[str, Any]:
    return {
        "table": table, "kind": kind, "columns": list(columns),
        "key": {"symbol": "BTCUSDT", by_table(table).time: iso(round(at_ms))},
    }  # fmt: skip


def test_a_cell_with_equal_rows_is_as_declared() -> None:
    assert judged(KILL).problem == ""


@pytest.mark.parametrize("kind", ["missing", "extra", "different", "trades_missing"])
def test_a_row_that_differs_is_a_failure_which_names_the_key(kind: str) -> None:
    found = judged(KILL, [key(kind, BEGAN_MS)], LOST, **{kind: 1})
    assert found.problem.startswith(f"1 {kind}: ")
    assert "BTCUSDT" in found.problem


def test_a_cell_that_compared_nothing_is_a_failure() -> None:
    assert judged(KILL, rows=0).problem == "nothing was compared"


def test_a_declared_snapshot_has_to_read_every_row_again_that_was_sent_before() -> None:
    assert judged(SLOT, snapshot_rows=900).problem == ""
    assert "no new snapshot" in judged(SLOT, resent=900).problem
    assert "lacks 7 rows" in judged(SLOT, snapshot_rows=893, snapshot_left=7).problem


def test_a_snapshot_that_is_not_declared_is_a_failure() -> None:
    assert "a new snapshot was taken" in judged(KILL, snapshot_rows=900).problem


def test_a_program_that_died_without_being_hit_is_a_failure() -> None:
    assert judged(KILL, died=["producer"]).problem == ""
    assert judged(KILL, died=["api", "producer"]).problem == "died of it, unexpectedly: api"


def test_rows_that_postgres_has_lost_may_be_extra_and_their_number_is_kept() -> None:
    keys = [key("extra", BEGAN_MS), key("extra", LOST[1], "order_book"), key("different", BEGAN_MS + 1, "recent_trades",
            "received_at")]  # fmt: skip
    found = judged(RESTORED, keys, LOST, extra=2, different=1, snapshot_rows=500, snapshot_left=40)
    assert (found.problem, found.lost) == ("", 3)


@pytest.mark.parametrize(
    ("wrong", "counts"),
    [
        (key("extra", LOST[1] + 1), {"extra": 1}),
        (key("extra", LOST[0] - 1), {"extra": 1}),
        (key("missing", BEGAN_MS), {"missing": 1}),
        (key("different", BEGAN_MS, "recent_trades", "price", "received_at"), {"different": 1}),
    ],
    ids=["after it", "before it", "missing", "another column"],
)
def test_of_a_restored_postgres_nothing_else_may_differ(wrong: dict[str, Any], counts: dict[str, int]) -> None:
    found = judged(RESTORED, [wrong], LOST, snapshot_rows=500, **counts)
    ((kind, _),) = counts.items()
    assert found.problem.startswith(f"1 {kind}: ")


def test_extra_rows_that_are_only_counted_are_a_failure() -> None:
    assert judged(RESTORED, [key("extra", BEGAN_MS)], LOST, extra=5, snapshot_rows=9).problem.startswith("4 extra")


def record(trade_id: int, op: str, at_ms: float, version: int = 1) -> Found:
    row = {"symbol": "BTCUSDT", "trade_time": 5, "trade_id": trade_id, "version": version, "__op": op}
    return Found(0, 0, None, json.dumps(row).encode(), {}, round(at_ms))


def test_what_a_snapshot_sent_again_are_rows_that_were_in_kafka_before_the_fault() -> None:
    before, after = BEGAN_MS - 1, BEGAN_MS + 1
    found = sent(
        [
            (
                by_table("recent_trades"),
                [
                    record(1, "c", before), record(2, "r", before), record(3, "c", before), record(1, "r", after),
                    record(3, "c", after), record(4, "r", after), Found(0, 0, None, b"not JSON", {}, round(before)),
                ],
            )
        ],
        BEGAN_MS,
    )  # fmt: skip
    assert (found.before, found.snapshot) == (3, 1)
    assert (found.records, found.repeated) == (6, 2)


def test_a_row_that_was_updated_was_not_repeated() -> None:
    found = sent([(by_table("recent_trades"), [record(1, "c", BEGAN_MS), record(1, "u", BEGAN_MS, 2)])], BEGAN_MS)
    assert found.repeated == 0


def test_ids_between_the_first_and_the_last_trade_of_a_symbol_are_missing() -> None:
    assert missing_ids([("A", 7), ("B", 1), ("A", 8), ("B", 4), ("A", 9)]) == 2
    assert missing_ids([]) == 0


def test_ids_that_begin_again_are_counted_from_zero_on() -> None:
    assert missing_ids([("A", 7000), ("A", 7001), ("A", 0), ("A", 1)]) == 0
    assert missing_ids([("A", 7000), ("A", 7002), ("A", 3), ("A", 5)]) == 1 + 3 + 1


def test_only_a_fault_that_reports_what_is_lost_accepts_extra_rows() -> None:
    assert [fault.name for fault in chosen([]) if fault.loses] == ["postgres-restored"]
    assert RESTORED.outcome is Outcome.SNAPSHOT
