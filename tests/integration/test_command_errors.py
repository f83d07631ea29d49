"""Errors of the command `cryptocdc`: the field, the option or the server by name, and the exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import Document, feed_document

pytestmark = pytest.mark.platform

Command = Callable[..., Answer]


@pytest.fixture
def command(command_environment: dict[str, str]) -> Command:
    return lambda *arguments, **more: cryptocdc({**command_environment, **more}, *arguments)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Document | str], Path]:
    """Write a feed's document, or any text, to a file."""

    def written(document: Document | str) -> Path:
        file = tmp_path / "feed.yaml"
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        file.write_text(text, encoding="utf-8")
        return file

    return written


@pytest.fixture
def feed_file(write: Callable[[Document | str], Path]) -> Path:
    return write(feed_document("errors", ["BTCUSDT"]))


def test_all_errors_in_a_feed_are_reported_at_once(command: Command, write: Callable[[Document], Path]) -> None:
    bad = {
        "apiVersion": "v1",
        "kind": "CryptoFeed",
        "metadata": {"name": "Majors"},
        "spec": {
            "exchange": "kraken",
            "symbols": {"names": ["BTCUSDT"], "top": {"count": 3}},
            "streams": {"klines": {"interval": ["1m"]}, "orderBook": {"depth": 7}},
            "retention": {"postgres": "two days"},
            "scaling": {"partitions": 0},
        },
    }
    answer = command("apply", "-f", write(bad))

    assert answer.code == 2, answer
    reported = {line.partition(":")[0] for line in answer.err.splitlines()}
    assert reported == {
        "apiVersion", "metadata.name", "spec.exchange", "spec.symbols", "spec.streams.klines.interval",
        "spec.streams.orderBook.depth", "spec.retention.postgres", "spec.scaling.partitions",
    }  # fmt: skip
    assert "did you mean intervals?" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("name", ["x'; DROP SCHEMA public; --", 'x"; DROP SCHEMA public; --', "x$$\n", "../x"])
def test_injected_names_are_refused_before_anything_is_touched(
    command: Command, write: Callable[[Document], Path], servers: Servers, name: str
) -> None:
    before = schemas(servers)
    document = feed_document(name, [name], {"klines": {"intervals": [name]}})
    answer = command("apply", "-f", write(document))

    assert answer.code == 2, answer
    reported = [line.partition(":")[0] for line in answer.err.splitlines()]
    assert {"metadata.name", "spec.symbols.names[0]", "spec.streams.klines.intervals[0]"} <= set(reported)
    assert schemas(servers) == before


def schemas(servers: Servers) -> set[str]:
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace")
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (": no yaml: [", "invalid YAML"),
        ("", "contains 0 documents; accepted: one CryptoFeed"),
        ("a: 1\n---\nb: 2\n", "contains 2 documents; accepted: one CryptoFeed"),
        ("- 1\n", "accepted: a mapping"),
    ],
    ids=["no yaml", "empty", "two", "a list"],
)
def test_a_file_that_is_not_a_feed_exits_2(
    command: Command, write: Callable[[Document | str], Path], text: str, reported: str
) -> None:
    file = write(text)
    answer = command("verify", "-f", file)
    assert answer.code == 2, answer
    assert reported in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--source", "nonsense"],
        ["verify", "--from", "yesterday"],
        ["verify", "--from", "20260101"],
        ["verify", "--from", "2026-01-02", "--to", "2026-01-01"],
        ["run", "--source", "nonsense"],
        ["run", "--source", "capture:/nowhere"],
        ["run", "--for", "0"],
        ["dlq", "list", "--source", "nonsense"],
        ["backfill", "--symbol", "BTCUSDT", "--from", "soon", "--to", "2026-01-01"],
        ["backfill", "--symbol", "A'; DROP TABLE klines; --", "--from", "2026-01-01", "--to", "2026-01-02"],
    ],
    ids=" ".join,
)
def test_an_invalid_option_exits_2_and_is_named(command: Command, feed_file: Path, arguments: list[str]) -> None:
    answer = command(*arguments, "-f", feed_file)
    assert answer.code == 2, answer
    assert any(argument in answer.err for argument in arguments if argument.startswith("--")), answer
    assert "Traceback" not in answer.err


def test_every_command_reports_that_no_server_was_ever_started(
    command_environment: dict[str, str], feed_file: Path, platform: Platform
) -> None:
    beside = platform.settings.home  # where the servers' user may go
    home = beside.with_name(f"{beside.name}-nothing")
    nothing = {name: value for name, value in command_environment.items() if not name.startswith("CRYPTOCDC_")}
    try:
        for arguments in (["apply"], ["verify"], ["delete"], ["dlq", "list"]):
            answer = cryptocdc({**nothing, "CRYPTOCDC_HOME": str(home)}, *arguments, "-f", feed_file)
            assert answer.code == 3, answer
            assert "cryptocdc up" in answer.err, answer
            assert "Traceback" not in answer.err
        status = cryptocdc({**nothing, "CRYPTOCDC_HOME": str(home)}, "status", "--json")
        assert status.code == 3, status
        assert {server["state"] for server in status.json()["servers"]} == {"stopped"}
    finally:
        shutil.rmtree(home, ignore_errors=True)
