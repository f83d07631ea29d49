"""The program that loads a feed's past: what it refuses before it asks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.unit.core.feeds import document, feed

from cryptocdc_core.program.exits import Exit
from cryptocdc_core.time import times
from cryptocdc_history import chosen
from cryptocdc_history import main as program


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYPTOCDC_FEED", str(tmp_path / "feed.yaml"))
    monkeypatch.setenv("CRYPTOCDC_METRICS_PORT", "1")
    monkeypatch.setattr(program, "serve_or_exit", lambda *_: None)


def write(tmp_path: Path, **spec: object) -> None:
    (tmp_path / "feed.yaml").write_text(yaml.safe_dump(document(**spec)))


def test_a_capture_has_no_past_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the exchange must not get into its tables."""
    write(tmp_path, history={"from": "2026-01"})
    monkeypatch.setenv("CRYPTOCDC_SOURCE", "capture")
    monkeypatch.setattr(program, "_load", lambda *_: pytest.fail("nothing is to be loaded"))
    program.main()


def test_a_feed_without_a_past_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == Exit.BAD_INPUT
    assert "spec.history: nothing of it is loaded from an archive; accepted: from" in capsys.readouterr().err


def test_each_table_is_loaded_since_the_earlier_of_from_and_its_own_past() -> None:
    now = times.parse("2026-03-10T12:00")

    def since(**history: str) -> dict[str, str]:
        made = feed(streams={"recentTrades": {}, "klines": {}}, history=history)
        return {table: times.iso(at)[:10] for table, at in chosen.begins(made, now).items()}

    assert since(klines="24h") == {}
    assert since(klines="7d") == {"klines": "2026-03-03"}
    assert since(klines="7d", **{"from": "2026-03"}) == {"recent_trades": "2026-03-01", "klines": "2026-03-01"}
    assert since(klines="30d", **{"from": "2026-03"}) == {"recent_trades": "2026-03-01", "klines": "2026-02-08"}


def test_top_symbols_that_are_not_written_yet_are_named_and_no_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is started again and goes on once there are some."""
    write(tmp_path, history={"from": "2026-01"}, symbols={"top": {"count": 5, "quote": "USDT"}})
    for server in ("POSTGRES", "CASSANDRA"):
        monkeypatch.setenv(f"CRYPTOCDC_{server}_PASSWORD", "x")
    monkeypatch.setattr(chosen, "read_symbols", lambda *_: {})
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == Exit.PLATFORM
    assert "majors has no symbols yet: Kafka's topic majors.symbols is empty" in capsys.readouterr().err
