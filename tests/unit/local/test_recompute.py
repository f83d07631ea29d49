"""What `cryptocdc analyze recompute` refuses before Spark is installed or started, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_core.time import times
from cryptocdc_local import recompute
from cryptocdc_local.platform import Platform, PlatformError
from cryptocdc_spark.recompute import run
from cryptocdc_spark.recompute.extents import Range
from cryptocdc_spark.recompute.output import Counts
from cryptocdc_spark.recompute.run import Request, SparkFailed, Tables

FROM, TO = "2026-11-01", "2026-11-02"


class Command:
    """The command with a folder of Parquet files and without Spark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows, self.out = folder / "rows", folder / "out"
        for name in ("recentTrades", "orderBook"):
            (self.rows / f"stream={name}").mkdir(parents=True)
            (self.rows / f"stream={name}" / "part.parquet").touch()

    def __call__(self, *options: str, analytics: object = None, start: str = FROM, end: str = TO) -> Any:
        document: dict[str, Any] = {
            "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "my-feed"},
            "spec": {"exchange": "simulated", "symbols": {"names": ["BTCUSDT"]}, "streams": {"recentTrades": {}}},
        }  # fmt: skip
        if analytics is not None:
            document["spec"]["analytics"] = analytics
        file = self._folder / "feed.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        app = typer.Typer()
        recompute.register(app)
        files = ["--rows", str(self.rows), "--out", str(self.out)]
        given = ["analyze", "recompute", "-f", str(file), "--from", start, "--to", end, *files, *options]
        return CliRunner().invoke(app, given)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    def set_up(*_: object) -> None:
        raise AssertionError("Spark is installed")

    monkeypatch.setattr(Platform, "setup_spark", set_up)
    monkeypatch.setenv("CRYPTOCDC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(recompute, "find_java", lambda: Path("/java"))
    return Command(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "spec.analytics: my-feed has none, so there is nothing to recompute; accepted: a feed with bars"),
        ({"analytics": {"bars": ["5s"]}, "start": TO, "end": FROM}, "--to: .* accepted: a time after --from"),
        ({"analytics": {"bars": ["5s"]}, "start": "soon"}, "--from: 'soon' is not accepted; accepted: ISO 8601"),
        ({"analytics": {"bars": ["1h"]}, "end": "2026-11-01T00:59:59Z"}, "accepted: a range with a whole window"),
    ],
)
def test_a_feed_without_analytics_and_a_range_without_windows_are_refused(
    command: Command, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        raise command(**given).exception


def test_the_help_names_every_computed_table(command: Command) -> None:
    shown = " ".join(command("--help").stdout.replace("│", " ").split())
    for words in ("bars", "volatility", "figures of order books", "anomalies", "forecasts"):
        assert words in shown


def test_an_unknown_engine_is_refused(command: Command) -> None:
    with pytest.raises(BadInput, match=r"^--engine: 'flink' is not accepted; accepted: spark$"):
        raise command("--engine", "flink", analytics={"bars": ["5s"]}).exception


def test_files_that_are_missing_and_a_folder_that_is_used_are_refused(command: Command) -> None:
    (command.rows / "stream=recentTrades" / "part.parquet").unlink()
    with pytest.raises(BadInput, match="no Parquet files in stream=recentTrades"):
        raise command(analytics={"bars": ["5s"]}).exception
    command.out.mkdir()
    (command.out / "file").touch()
    with pytest.raises(BadInput, match=r"--out: .* is not empty"):
        raise command(analytics={"bars": ["5s"]}).exception


def test_a_machine_without_java_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "find_java", lambda: None)
    with pytest.raises(PlatformError, match="Spark needs Java 17, and there is none"):
        raise command(analytics={"bars": ["5s"]}).exception


def test_cassandras_address_is_not_needed_for_files_alone_but_otherwise_must_be_set(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POSTGRES", "CASSANDRA"):
        monkeypatch.delenv(f"CRYPTOCDC_{name}_PASSWORD", raising=False)
    with pytest.raises(AssertionError, match="Spark is installed"):
        raise command(analytics={"bars": ["5s"]}).exception
    app = typer.Typer()
    recompute.register(app)
    feed = command.rows.parent / "feed.yaml"
    given = ["analyze", "recompute", "-f", str(feed), "--from", FROM, "--to", TO]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 3
    assert "CRYPTOCDC_POSTGRES_PASSWORD: must be set" in answer.stderr


def test_rows_that_expire_while_they_are_read_do_not_count_as_stored() -> None:
    kept = Tables(CassandraSettings(password="secret"), "my_feed", 86_400)
    least_ms = recompute._least_ms(kept, None)
    assert 0 < least_ms - (times.now_ms() - 86_400_000) <= 3_600_000
    assert recompute._least_ms(kept, Path("rows")) == 0
    assert recompute._least_ms(Tables(kept.settings, "my_feed", None), None) == 0


def test_a_refused_row_ends_with_code_1_and_a_failure_of_spark_names_its_cause(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {"bars": Counts(1_200, 0, 2), "book_metrics": Counts(7, 3, 0)}
    environment = {"PYTHONPATH": "/nowhere"}
    monkeypatch.setattr(Platform, "setup_spark", lambda *_: None)
    monkeypatch.setattr(recompute, "session_environment", lambda _: environment)
    monkeypatch.setattr(recompute, "_use", lambda _: None)
    monkeypatch.setattr(run, "run", lambda *_: done)
    answer = command(analytics={"bars": ["5s"]})
    assert answer.exit_code == 1
    assert f"rows written to {command.out}: bars 1,200 (2 refused), book_metrics 7 (3 expired)\n" in answer.stdout
    answer = command("--json", analytics={"bars": ["5s"]})
    assert '"tables": {"bars": {"rows": 1200, "expired": 0, "refused": 2}' in answer.stdout

    def fail(*_: object) -> None:
        raise SparkFailed("no answer")

    monkeypatch.setattr(run, "run", fail)
    with pytest.raises(PlatformError, match="Spark: no answer"):
        raise command(analytics={"bars": ["5s"]}).exception


def test_a_result_in_cassandra_names_the_keyspace() -> None:
    tables = Tables(CassandraSettings(password="secret"), "my_feed_sim", None)
    wanted: Any = Range(0, 1)
    request = Request(wanted, (), tables, None, None)
    assert recompute._sentence(request, {"bars": Counts(1, 0, 0)}) == "rows written into my_feed_sim: bars 1"
