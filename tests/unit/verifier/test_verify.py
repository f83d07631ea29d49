"""What a verification on demand leaves to other commands."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier import verify as verification
from cryptocdc_verifier.comparing.tables import TableResult
from cryptocdc_verifier.differences.dead_letters import Pending
from cryptocdc_verifier.recompute.bars import BARS
from cryptocdc_verifier.recompute.books import BOOK_METRICS
from cryptocdc_verifier.repair.decision import COMPUTED


def test_differences_of_computed_tables_are_left_with_the_command_that_computes_them_again(monkeypatch):
    @contextmanager
    def snapshot():
        yield SimpleNamespace(taken_ms=100, lsn=1)

    @contextmanager
    def sides(_target):
        yield SimpleNamespace(snapshot=snapshot), None

    computed = {
        "bars": TableResult(rows=9, missing=2, different=1, computed=True),
        "book_metrics": TableResult(rows=9, computed=True),
    }
    monkeypatch.setattr(verification, "sides", sides)
    monkeypatch.setattr(verification, "delivery_of", lambda *_: SimpleNamespace(wait=lambda _lsn: None))
    monkeypatch.setattr(verification, "window_of", lambda *_: Window(0, 100))
    monkeypatch.setattr(verification, "settle", lambda *_: None)
    monkeypatch.setattr(verification, "_computed", lambda *_: computed)
    monkeypatch.setattr(verification, "read_pending", lambda *_: Pending())
    target: Any = SimpleNamespace(
        feed=SimpleNamespace(name="majors"), source="simulated", streams=(), computed=(BARS, BOOK_METRICS),
        kafka=None, names=None,
    )  # fmt: skip

    report = verification.verify(target, repairing=True)

    assert report.repairs is not None
    assert dict(report.repairs.left) == {("bars", "missing", COMPUTED): 2, ("bars", "different", COMPUTED): 1}
    assert not report.repairs.repaired
    assert (report.missing, report.different) == (2, 1)
    assert "analyze recompute" in report.repairs.to_json()["tables"]["bars"]["left"][0]["why"]
