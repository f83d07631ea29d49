"""The programs of a run that a feed asks for: the loader of its past, and the exporter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.core.planning.test_plan import planned
from tests.unit.local.running.test_sink import Connect, Stored, connect, run_of  # noqa: F401 - a fixture

from cryptocdc_local.running import run

PAST: dict[str, object] = {"history": {"from": "2026-01"}, "export": {"uri": "/data/research"}}


def test_a_feed_with_a_past_and_an_export_gets_their_programs_and_loses_them_again(
    connect: Connect,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(run, "export_environment", lambda _: {"PYTHONPATH": "/pyarrow"})
    changed, store = run_of(planned(), monkeypatch)
    changed.platform.settings.home = tmp_path  # type: ignore[misc]
    running = changed.programs.running  # type: ignore[attr-defined]
    assert (running["history"], running["exporter"]) == (0, 0)

    store.applied = Stored.of(planned(**PAST))
    changed._pick_up_changes()
    assert (running["history"], running["exporter"]) == (1, 1)
    assert changed.programs.more["history"] == {"CRYPTOCDC_HISTORY_FOLDER": str(tmp_path / "history")}
    assert changed.programs.more["exporter"] == {"PYTHONPATH": "/pyarrow"}

    store.applied = Stored.of(planned())
    changed._pick_up_changes()
    assert (running["history"], running["exporter"]) == (0, 0)
