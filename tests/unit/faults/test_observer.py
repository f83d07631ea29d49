"""What counts as seen of a fault."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.faults import observer
from tests.faults.observer import ACKNOWLEDGED, LATE, Observer

from cryptocdc_adapters.metrics.figures import parse
from cryptocdc_core.catalogue import by_table

AGES = "cryptocdc_consumer_event_to_ack_seconds"


class Programs:
    def __init__(self) -> None:
        self.restarted = {"fid-producer-0": 0, "fid-api-0": 1}
        self.alive = set(self.restarted)

    def pids(self) -> dict[str, int]:
        return dict.fromkeys(self.alive, 1)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AdminClient", "client_config", "GroupOffsets"):
        monkeypatch.setattr(observer, name, lambda *_: {})
    plan = SimpleNamespace(
        written=[by_table("recent_trades")], change_topics={}, names=SimpleNamespace(consumer_group="", fid="fid")
    )
    return SimpleNamespace(plan=plan, event="", halted=None, programs=Programs())


@pytest.fixture
def watching(run: Any) -> Observer:
    return Observer(run, SimpleNamespace(kafka=None))  # type: ignore[arg-type]


def test_an_event_from_before_the_fault_is_not_seen_of_it_until_it_changes(run: Any, watching: Observer) -> None:
    run.event = "api died and was restarted"
    watching.begin()
    watching._look_at_run()
    assert not watching.seen
    for event in ("", "api died and was restarted"):
        run.event = event
        watching._look_at_run()
    assert list(watching.seen) == ["run: api died and was restarted"]


def text(**counters: float) -> str:
    return "".join(f"{name} {value}\n" for name, value in counters.items())


def test_rows_are_those_of_the_feeds_streams_without_derived_tables(watching: Observer) -> None:
    lines = f'{ACKNOWLEDGED}{{table="recent_trades"}} 5\n{ACKNOWLEDGED}{{table="newest_prices"}} 3\n'
    watching._count("consumer-0", parse([lines], 0.0))
    assert watching.totals() == {ACKNOWLEDGED: 5}


def ages(in_time: int, late: int) -> str:
    buckets = {"0.5": in_time, "5.0": in_time, "30.0": in_time, "+Inf": in_time + late}
    lines = [f'{AGES}_bucket{{table="recent_trades",le="{bound}"}} {count}' for bound, count in buckets.items()]
    return "\n".join([f"# TYPE {AGES} histogram", *lines, f'{AGES}_count{{table="recent_trades"}} {in_time + late}\n'])


def test_late_rows_are_seen_if_they_become_more(watching: Observer) -> None:
    watching._count("consumer-0", parse([ages(10, 4)], 0.0))
    watching.begin()
    watching._count("consumer-0", parse([ages(20, 4)], 0.0))
    assert not watching.seen
    watching._count("consumer-0", parse([ages(20, 5)], 0.0))
    assert list(watching.seen) == [LATE]


def test_programs_that_were_restarted_or_are_down_have_died(run: Any, watching: Observer) -> None:
    watching.begin()
    assert watching.died() == []
    run.programs.restarted = {"fid-producer-0": 1, "fid-api-0": 1}
    assert watching.died() == ["producer"]
    run.programs.alive = {"fid-producer-0"}
    assert watching.died() == ["api", "producer"]
