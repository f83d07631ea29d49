"""A verification as the terminal shows it."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.repair.decision import FUTURE, Leave
from cryptocdc_verifier.repair.repairs import Repairs
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.screen import show


def test_a_null_is_a_dash_and_an_empty_text_is_empty() -> None:
    key = {
        "table": "klines", "kind": "different", "key": {"symbol": "BTC-USD"}, "cause": "…", "columns": ["trade_count"],
        "postgres": {"trade_count": None, "interval": ""}, "cassandra": {"trade_count": "0", "interval": ""},
        "audit": {}, "writetime": {}, "sent": [],
    }  # fmt: skip
    out = StringIO()
    show(Report("f", "exchange", Window(0, 1), 1, keys=[key]), Console(file=out, width=100))
    (line,) = [line.split() for line in out.getvalue().splitlines() if "trade_count" in line]
    assert line == ["trade_count", "–", "0"]
    assert ["interval"] in [line.split() for line in out.getvalue().splitlines()]


def test_repaired_and_left_rows_are_shown_with_cause_and_reason() -> None:
    repairs = Repairs()
    repairs.repaired["klines", "update_lost"] = 1200
    repairs.leave("klines", "delete_wins", Leave(FUTURE, 1_795_262_400_000_000))
    out = StringIO()
    show(Report("f", "exchange", Window(0, 1), 1, repairs=repairs), Console(file=out, width=200))
    shown = out.getvalue()
    assert "repaired 1,200 rows, left 1" in shown
    assert "klines: 1,200 repaired, cause update_lost" in shown
    assert f"klines: 1 left, cause delete_wins: {FUTURE.text}" in shown
    assert "klines: repair again after 2026-11-21T12:00:00.000Z" in shown
