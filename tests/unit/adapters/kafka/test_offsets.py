"""A group's committed offsets are always requested through a consumer."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.adapters.kafka.young_broker import YoungBroker

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.offsets import GroupOffsets
from cryptocdc_core.program.settings import KafkaSettings

ROOT = Path(__file__).parents[4]
SETTINGS = KafkaSettings(bootstrap="127.0.0.1:1")


class Consumer:
    """Kafka's response by partition: an offset or an error."""

    def __init__(self, answer: dict[int, int | KafkaError]) -> None:
        self._answer = answer
        self.closed = False

    def committed(self, partitions: list[Any], timeout: float) -> Iterator[Any]:
        for at in partitions:
            found = self._answer[at.partition]
            error, offset = (found, -1001) if isinstance(found, KafkaError) else (None, found)
            yield SimpleNamespace(topic=at.topic, partition=at.partition, offset=offset, error=error)

    def close(self) -> None:
        self.closed = True


def asked(monkeypatch: pytest.MonkeyPatch, answer: dict[int, int | KafkaError]) -> GroupOffsets:
    monkeypatch.setattr(offsets, "Consumer", lambda _: Consumer(answer))
    return GroupOffsets(SETTINGS, "f-consumer")


def test_an_unused_group_has_no_committed_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    of_group = asked(monkeypatch, {0: -1001, 1: -1001})
    assert of_group.committed([("t", 0), ("t", 1)]) == {}


def test_partitions_without_a_committed_offset_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    of_group = asked(monkeypatch, {0: 0, 1: 17, 2: -1001})
    assert of_group.committed([("t", 0), ("t", 1), ("t", 2)]) == {("t", 0): 0, ("t", 1): 17}


def test_an_error_of_one_partition_is_not_taken_for_an_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    of_group = asked(monkeypatch, {0: 3, 1: KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)})
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        of_group.committed([("t", 0), ("t", 1)])


ASKING = """
import sys
from cryptocdc_adapters.kafka import offsets
from cryptocdc_core.program.settings import KafkaSettings
print(offsets.committed(KafkaSettings(bootstrap=sys.argv[1]), "unused", [("t", 0)], float(sys.argv[2])))
"""
"""In a process of its own, which a crash of Kafka's client ends."""


def ask(refusals: int, timeout_s: float) -> tuple[subprocess.CompletedProcess[str], int]:
    """Ask a broker that answers NOT_COORDINATOR that many times; return the process and the number of its requests."""
    with contextlib.closing(YoungBroker("t", refusals)) as broker:
        command = [sys.executable, "-c", ASKING, f"127.0.0.1:{broker.port}", str(timeout_s)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False), broker.asked


@pytest.mark.parametrize("refusals", [0, 1, 3])
def test_not_coordinator_is_retried(refusals: int) -> None:
    """With the admin client the same response crashed the process: exit code -11."""
    answer, asked = ask(refusals, timeout_s=20)
    assert (answer.returncode, answer.stdout) == (0, "{}\n"), answer.stderr
    assert asked == refusals + 1


def test_not_coordinator_is_raised_once_the_time_limit_is_reached() -> None:
    answer, asked = ask(10_000, timeout_s=1)
    assert answer.returncode == 1
    assert "NOT_COORDINATOR" in answer.stderr
    assert asked > 1


def test_no_code_calls_list_consumer_group_offsets() -> None:
    """It crashes the whole process when the coordinator answers NOT_COORDINATOR."""
    call = re.compile(r"\.list_consumer_group_offsets\(")
    sources = [path for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")
               for path in folder.rglob("*.py")]  # fmt: skip
    assert len(sources) > 300
    assert [str(path.relative_to(ROOT)) for path in sources if call.search(path.read_text(encoding="utf-8"))] == []
