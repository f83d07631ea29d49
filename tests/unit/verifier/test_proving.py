"""Proving one feed: captured rows, retention and computed tables, each at its own pace."""

import contextlib
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_core.feed.repair import Repair
from cryptocdc_verifier import proving
from cryptocdc_verifier.target import VerifyError

LIMIT_S = 10


class Passes:
    """What was run, in place of both databases. `computed` is called for each pass over computed tables."""

    def __init__(self, monkeypatch, computed):
        self.stop, self.computed = threading.Event(), computed
        self.proven, self.dropped = threading.Semaphore(0), threading.Semaphore(0)
        self.sides = []
        nothing = lambda *_, **__: None  # noqa: E731
        for name in ("delivery_of", "ComputedDelivery", "Proofs"):
            monkeypatch.setattr(proving, name, nothing)
        monkeypatch.setattr(proving, "PAUSE_S", 0.001)
        monkeypatch.setattr(proving, "_AGAIN_S", 0.001)
        monkeypatch.setattr(proving, "RETENTION_S", 0.0)
        monkeypatch.setattr(proving, "sides", self.connected)
        self.limits = []
        monkeypatch.setattr(proving, "Continuous", self.continuous)
        monkeypatch.setattr(proving, "Transport", lambda *_: SimpleNamespace(publish=lambda: None))
        monkeypatch.setattr(proving, "Retention", lambda *_: SimpleNamespace(drop_old=self.dropped.release))
        monkeypatch.setattr(proving, "ComputedProof", lambda *_: SimpleNamespace(prove=lambda: self.computed(self)))

    @contextlib.contextmanager
    def connected(self, _target):
        self.sides.append(threading.current_thread())
        yield SimpleNamespace(connection=None), None

    def continuous(self, *given):
        self.limits.append(given[-1])
        return SimpleNamespace(prove=self.prove)

    def prove(self):
        self.proven.release()

    def run(self):
        spec = SimpleNamespace(repair=Repair(maxRowsPerHour=5))
        target: Any = SimpleNamespace(
            computed=("bars",), names=SimpleNamespace(fid="fid"), feed=SimpleNamespace(spec=spec)
        )  # fmt: skip
        unused: Any = None
        proving.prove(target, self.stop, unused, unused, 1)


def test_a_backlog_of_the_analyzer_does_not_delay_proofs_of_captured_rows(monkeypatch):
    waiting = threading.Event()

    def backlog(passes):
        waiting.set()
        passes.stop.wait()
        raise VerifyError("stopped")

    passes = Passes(monkeypatch, backlog)
    running = threading.Thread(target=passes.run)
    running.start()
    assert waiting.wait(LIMIT_S)
    for _ in range(50):
        assert passes.proven.acquire(timeout=LIMIT_S)
        assert passes.dropped.acquire(timeout=LIMIT_S)
    passes.stop.set()
    running.join(LIMIT_S)
    assert not running.is_alive()
    assert len(set(passes.sides)) == 2


def test_computed_tables_are_proven_again_after_a_failure(monkeypatch):
    failed = []

    def fails(passes):
        failed.append(1)
        if len(failed) == 3:
            passes.stop.set()
        raise VerifyError("an analyzer does not run")

    Passes(monkeypatch, fails).run()
    assert len(failed) == 3


def test_an_unexpected_error_ends_the_program_rather_than_the_proof_alone(monkeypatch):
    def broken(_passes):
        raise ZeroDivisionError

    passes = Passes(monkeypatch, broken)
    with pytest.raises(ZeroDivisionError):
        passes.run()
    assert passes.stop.is_set()


def test_a_lost_connection_does_not_renew_the_limit_of_repaired_rows(monkeypatch):
    passes = Passes(monkeypatch, lambda passes: passes.stop.wait())

    def fails():
        granted = passes.limits[-1](3)
        if len(passes.limits) == 3:
            passes.stop.set()
            assert granted == 0
        raise VerifyError("Cassandra does not answer")

    monkeypatch.setattr(passes, "prove", fails)
    passes.run()
    assert len(passes.limits) == 3
