"""The program that follows a feed's proofs: what it counts, and what it does when the destination does not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from tests.unit.core.feeds import feed

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.file_metrics import ExporterMetrics
from cryptocdc_core.program.settings import CassandraSettings, PostgresSettings
from cryptocdc_exporter import main as program
from cryptocdc_exporter.export import Counts
from cryptocdc_exporter.main import Exporting, use_credentials
from cryptocdc_exporter.run import ExportError
from cryptocdc_exporter.target import Target


class House:
    """The program with a follower that does one of `steps` after the other, and then is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **export: Any) -> None:
        made = feed(streams={"klines": {}, "recentTrades": {}}, export={"uri": str(folder / "out"), **export})
        assert made.spec.export is not None
        self.metrics, self.health, self.stop = ExporterMetrics("1"), Health(60), threading.Event()
        target = Target(made, "exchange", PostgresSettings(password="x"), CassandraSettings(password="x"))
        self.program = Exporting(target, made.spec.export, self.metrics, self.health, self.stop)
        self.steps: list[Any] = []
        self.streams: list[str] = []
        monkeypatch.setattr(program, "follow", self._follow)
        monkeypatch.setattr(program, "AGAIN_S", 0.0)

    def _follow(self, _target: Any, streams: Any, *rest: Any) -> None:
        say, _stop, passed, away = rest[-4:]
        self.streams = [stream.name for stream in streams]
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, ExportError):
                away(step)
            elif isinstance(step, Exception):
                raise step
            else:
                say("klines", 1)
                passed(step)
        self.stop.set()

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"cryptocdc_exporter_{name}", labels)


@pytest.fixture
def clean() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_what_was_written_is_counted_once_across_reconnects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    house = House(monkeypatch, tmp_path)
    counts = Counts(files=2, rows=20, bytes=200, through=7_200_000)
    later = Counts(files=3, rows=30, bytes=300, through=10_800_000, changed=["2026-01-01T00:00:00.000Z"])
    house.steps = [{"klines": counts}, {"klines": later}, ExportError("Cassandra"), {"klines": Counts(files=1, rows=5)}]

    house.program.run()

    assert house.streams == ["recentTrades", "klines"]
    assert house.counted("files_total", table="klines") == 4
    assert house.counted("rows_total", table="klines") == 35
    assert house.counted("exported_through_timestamp_seconds", table="klines") == 10_800
    assert house.counted("failures_total", what="server") == 1
    assert house.health.obstacle() is None, "the last pass succeeded"


def test_a_destination_that_fails_is_tried_again_and_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    house = House(monkeypatch, tmp_path)
    house.steps = [OSError(28, "No space left on device"), BadInput("--out: there is no bucket research")]
    house.program.run()

    assert house.counted("failures_total", what="destination") == 2
    obstacle = house.health.obstacle()
    assert obstacle is not None
    assert obstacle.endswith("out: there is no bucket research")
    assert house.health.problem() is None, "a restart would not help"


def test_only_the_chosen_streams_are_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    house = House(monkeypatch, tmp_path, streams=["klines"])
    house.program.run()
    assert house.streams == ["klines"]


@pytest.mark.usefixtures("clean")
def test_the_secrets_keys_are_what_awss_clients_read(tmp_path: Path) -> None:
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("key\n")
    with pytest.raises(BadInput, match=r"spec\.export\.secretRef: the secret lacks AWS_SECRET_ACCESS_KEY"):
        use_credentials(tmp_path, None)
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text("hidden")
    use_credentials(tmp_path, "http://minio:9000")
    assert (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]) == ("key", "hidden")
    assert os.environ["AWS_ENDPOINT_URL"] == "http://minio:9000"
