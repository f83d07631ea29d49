"""`/healthz` says whether a restart would help, `/readyz` whether the program can work now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from prometheus_client import CollectorRegistry

from cryptocdc_adapters.metrics.serving import Health, serve


class Program:
    def __init__(self) -> None:
        self.now = 0.0
        self.trouble: str | None = None
        self.health = Health(60, lambda: self.now)
        self.health.ready_when(lambda: self.trouble)
        self._server = serve(CollectorRegistry(), self.health, "127.0.0.1", 0)

    def ask(self, path: str) -> tuple[int, str]:
        answer = requests.get(f"http://127.0.0.1:{self._server.server_port}{path}", timeout=5)
        return answer.status_code, answer.text

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def program() -> Iterator[Program]:
    made = Program()
    yield made
    made.close()


def test_a_program_that_can_not_work_is_unready_immediately_and_still_alive(program: Program) -> None:
    assert program.ask("/readyz") == (200, "ok\n")
    program.trouble = "Cassandra has acknowledged nothing for 5 s: no answer"
    assert program.ask("/readyz") == (503, "Cassandra has acknowledged nothing for 5 s: no answer\n")
    assert program.ask("/healthz") == (200, "ok\n")
    program.trouble = None
    assert program.ask("/readyz") == (200, "ok\n")


def test_a_program_that_hangs_is_neither_alive_nor_ready(program: Program) -> None:
    program.now = 61.0
    for path in ("/healthz", "/readyz"):
        assert program.ask(path) == (503, "no progress for 61 s; 60 s are accepted\n")
