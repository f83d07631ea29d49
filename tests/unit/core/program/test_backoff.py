"""When failed operations are retried."""

from __future__ import annotations

import time

import pytest

from cryptocdc_core.program.backoff import Backoff, Restarts, retry


def test_back_off_doubles_up_to_its_maximum() -> None:
    waits = [Backoff(2, 300).after(failures) for failures in (0, 1, 2, 3, 8, 9, 99, 10**9)]
    assert waits == [2, 2, 4, 8, 256, 300, 300, 300]


def test_a_process_that_keeps_dying_is_restarted_with_growing_waits() -> None:
    restarts, started = Restarts(Backoff(1, 4), steady_s=60), []
    for now in range(20):
        if restarts.due(now):
            restarts.started(now)
            started.append(now)
    assert started == [0, 1, 3, 7, 11, 15, 19]


def test_a_process_that_ran_steadily_is_restarted_with_short_waits_again() -> None:
    restarts = Restarts(Backoff(1, 300), steady_s=60)
    for now in (0, 1, 3, 7):
        restarts.started(now)
    restarts.alive(75.0)
    restarts.started(76)
    assert not restarts.due(76.5 + 1)
    restarts.alive(76 + 16 + 61)
    restarts.started(200)
    assert restarts.due(201)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


class Attempt:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_transient_errors_are_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert retry(Attempt(OSError(), OSError()), OSError, 10, 0.5) == "done"
    assert clock.now == 1.0


def test_the_last_error_is_raised_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, attempt = Clock(monkeypatch), Attempt(*(OSError(str(n)) for n in range(100)))
    with pytest.raises(OSError, match=r"^4$"):
        retry(attempt, OSError, 2, 0.5)
    assert clock.now == 2.0


def test_permanent_errors_are_raised_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(KeyError):
        retry(Attempt(KeyError()), OSError, 10, 0.5)
    with pytest.raises(OSError, match="for good"):
        retry(Attempt(OSError("for good")), OSError, 10, 0.5, lambda error: str(error) != "for good")
    assert clock.now == 0.0
