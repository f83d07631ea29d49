"""A verification as the terminal shows it."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from cryptocdc_verifier.report import Report
from cryptocdc_verifier.screen import show
from cryptocdc_verifier.window import Window


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
