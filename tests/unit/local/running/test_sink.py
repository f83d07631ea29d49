"""The sink connector of a run: applied, resumed, watched, and removed, one engine at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.core.planning.test_plan import FACTS, planned

from cryptocdc_adapters.replication.connect import ConnectError, ConnectorState
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_local.running import run, sink
from cryptocdc_local.running.run import Run
from cryptocdc_local.running.sink import SinkConnector

NAME = "my-feed.sink"


class Connect:
    """Connect in memory, of one connector."""

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, str]] = {}
        self.states: dict[str, str] = {}
        self.answers = True

    def _request(self) -> None:
        if not self.answers:
            raise ConnectError("GET /connectors: no\nanswer")

    def apply(self, name: str, config: dict[str, str]) -> bool:
        """Apply like Connect: a new configuration does not resume a stopped connector."""
        self._request()
        changed = self.configs.get(name) != config
        self.configs[name] = config
        self.states.setdefault(name, "RUNNING")
        return changed

    def state(self, name: str) -> ConnectorState | None:
        self._request()
        state = self.states.get(name)
        return None if state is None else ConnectorState(state, () if state == "STOPPED" else (state,), "")

    def resume(self, name: str) -> None:
        self._request()
        self.states[name] = "RUNNING"

    def remove(self, name: str) -> None:
        self._request()
        self.states.pop(name, None)
        self.configs.pop(name, None)


class Programs:
    """Programs that only count; `on_scale` is called before each change."""

    def __init__(self, *_: Any) -> None:
        self.running: dict[str, int] = {}
        self.environment: dict[str, str] = {}
        self.more: dict[str, dict[str, str]] = {}
        self.on_scale = lambda: None

    def scale(self, kind: str, count: int) -> None:
        self.on_scale()
        self.running[kind] = count

    def stop(self, kind: str) -> None:
        self.running.pop(kind, None)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    made = Connect()
    monkeypatch.setattr(sink, "Connect", lambda _: made)
    monkeypatch.setattr(run, "Programs", Programs)
    monkeypatch.setattr(run, "Readings", lambda *_: None)
    return made


def of_engine(engine: str) -> Plan:
    made: Plan = planned(sink={"engine": engine})
    return made


def sink_of(plan: Plan) -> SinkConnector:
    return SinkConnector(plan, SimpleNamespace(connect=SimpleNamespace(url="")))  # type: ignore[arg-type]


class Stored:
    """What `cryptocdc apply` stored: the plan of the run, or a changed one."""

    def __init__(self, plan: Plan) -> None:
        self.applied = self.of(plan)

    @staticmethod
    def of(plan: Plan) -> Any:
        return SimpleNamespace(
            feed=plan.feed, source="exchange", rest_url="", websocket_url="", plan=plan, document=plan.feed.model_dump()
        )

    def read(self, _: str) -> Any:
        return self.applied

    def feed_file(self, _: str) -> str:
        return ""


def run_of(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Stored]:
    """A run on no servers, whose programs and connector are as the plan says."""
    monkeypatch.setattr(run, "planned_of", lambda applied, _: applied.plan)
    store = Stored(plan)
    settings = SimpleNamespace(server_metrics=False, targets=str, api_host="", ports=SimpleNamespace(api=0))
    platform = SimpleNamespace(settings=settings, endpoints=lambda: SimpleNamespace(environment=dict))
    servers = SimpleNamespace(connect=SimpleNamespace(url=""), kafka=None)
    made = Run(platform, servers, store, SimpleNamespace(note=""), store.applied, plan)  # type: ignore[arg-type]
    made._scale()
    return made, store


def test_a_connector_that_a_run_left_stopped_is_resumed_by_the_next_run(connect: Connect) -> None:
    plan = of_engine("connect")
    sink_of(plan).apply()
    connect.states[NAME] = "STOPPED"
    sink_of(plan).apply()
    assert connect.states[NAME] == "RUNNING"


def test_a_connector_that_is_stopped_during_the_run_is_resumed(connect: Connect) -> None:
    watched = sink_of(of_engine("connect"))
    watched.apply()
    assert watched.step() == ""
    connect.states[NAME] = "STOPPED"
    assert watched.step() == "sink connector was stopped: resumed"
    assert connect.states[NAME] == "RUNNING"
    assert watched.step() == ""


def test_a_connector_that_is_paused_is_reported_and_stays_paused(connect: Connect) -> None:
    watched = sink_of(of_engine("connect"))
    watched.apply()
    connect.states[NAME] = "PAUSED"
    assert watched.step() == "sink connector is PAUSED, its tasks PAUSED"
    assert connect.states[NAME] == "PAUSED"


def test_a_connector_that_a_run_could_not_remove_at_its_end_is_logged(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended, _ = run_of(of_engine("connect"), monkeypatch)
    connect.answers = False
    ended.stop()
    assert caplog.messages == [f"{NAME} was not removed: GET /connectors: no answer"]


def test_a_run_with_consumers_stops_without_warnings_while_connect_is_down(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended, _ = run_of(of_engine("consumer"), monkeypatch)
    connect.answers = False
    ended.stop()
    assert caplog.messages == []


def test_the_connectors_watcher_does_not_start_it_before_the_consumers_have_stopped(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, store = run_of(of_engine("consumer"), monkeypatch)
    beside: list[bool] = []

    def watched() -> None:
        changed._guard_sink()
        if changed.programs.running["consumer"]:  # type: ignore[attr-defined]
            beside.append(NAME in connect.states)

    changed.programs.on_scale = watched  # type: ignore[attr-defined]
    store.applied = Stored.of(of_engine("connect"))
    changed._pick_up_changes()
    assert (beside, changed.programs.running["consumer"]) == ([False], 0)  # type: ignore[attr-defined]
    assert connect.states == {NAME: "RUNNING"}


def test_programs_are_scaled_without_connect_and_the_connectors_removal_is_retried(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, store = run_of(of_engine("connect"), monkeypatch)
    connect.answers = False
    store.applied = Stored.of(planned(sink={"engine": "consumer"}, scaling={"consumers": 3}))
    changed._pick_up_changes()
    assert changed.programs.running["consumer"] == 3  # type: ignore[attr-defined]
    assert changed.event == "sink connector can't be removed: GET /connectors: no answer"
    connect.answers = True
    changed._pick_up_changes()
    assert connect.states == {}


def test_a_plan_includes_computed_streams_whose_topics_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = of_engine("connect").feed
    applied = SimpleNamespace(
        resolved=ResolvedFeed(feed, "exchange", ("BTCUSDT",)), names=ResolvedFeed(feed, "exchange", ()).names
    )
    monkeypatch.setattr(
        "cryptocdc_local.running.run.postgres.connect", lambda *_, **__: SimpleNamespace(close=lambda: None)
    )
    monkeypatch.setattr("cryptocdc_local.running.run.postgres.tables", lambda *_: ["klines"])
    monkeypatch.setattr(
        "cryptocdc_local.running.run.kafka.replication", lambda _, topics: {t: 1 for t in topics if t.endswith(".bars")}
    )
    servers = SimpleNamespace(postgres=None, kafka=None, facts=FACTS)
    made = run.planned_of(applied, servers)  # type: ignore[arg-type]
    assert (made.computed, made.written[-1].table) == ((), "bars")


def test_a_spark_job_starts_after_what_wrote_before_has_stopped(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "spark_environment", lambda _, fid: {"CRYPTOCDC_CHECKPOINT": fid})
    changed, store = run_of(of_engine("connect"), monkeypatch)
    writing: list[tuple[str, ...]] = []

    def noted() -> None:
        running = [kind for kind in ("consumer", "spark") if changed.programs.running.get(kind)]  # type: ignore[attr-defined]
        writing.append((*running, *connect.states))

    changed.programs.on_scale = noted  # type: ignore[attr-defined]
    for engine, left in (("spark", "spark"), ("consumer", "consumer"), ("spark", "spark"), ("connect", NAME)):
        store.applied = Stored.of(of_engine(engine))
        changed._pick_up_changes()
        noted()
        assert writing[-1] == (left,)
    assert max(map(len, writing)) == 1, f"two engines at a time: {writing}"
    assert changed.programs.more == {"spark": {"CRYPTOCDC_CHECKPOINT": "my_feed"}}
