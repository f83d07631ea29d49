"""`spec.history.from`: a Job that loads it once the feed is ready, and how far it is, in the status."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.core.feeds import feed
from tests.unit.operator.world import World

from cryptocdc_adapters.postgres.history_files import Counts
from cryptocdc_operator.status.history import history_events, history_progress

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}
FILES = Counts({"proven": 3, "quarantined": 1, "absent": 2, "planned": 1}, 4000, 1, 2)

SPEC = feed(streams=STREAMS, history={"from": "2026-09"}).spec


def reconciled(world):
    world.run()
    assert world.condition("Ready")["status"] == "True"


@pytest.fixture
def world():
    made = World(streams=STREAMS, history={"from": "2026-09"})
    reconciled(made)
    return made


def job(world):
    return world.objects["Job", "majors-history"]


def history(world):
    return world.feed()["status"]["history"]


def test_the_job_loads_once_the_feed_is_ready(world):
    made = job(world)
    spec = made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "cryptocdc/history:1"
    assert spec["restartPolicy"] == "Never"
    assert made["spec"]["backoffLimit"] > 0
    assert "ttlSecondsAfterFinished" not in made["spec"], "a Job that is gone would be made, and load, again"
    assert made["metadata"]["ownerReferences"][0]["kind"] == "CryptoFeed", "the feed's deletion ends it"
    names = {entry["name"] for entry in container["env"]}
    assert {"CRYPTOCDC_POSTGRES_PASSWORD_FILE", "CRYPTOCDC_CASSANDRA_PASSWORD_FILE"} <= names
    assert "majors-history" in world.names("NetworkPolicy")
    assert "majors-history" not in world.names("Service")
    assert history(world)["phase"] == "Loading"


def test_a_feed_that_is_not_ready_waits():
    world = World(streams=STREAMS, history={"from": "2026-09"})
    world.unreachable["Connect"] = "no"
    world.reconcile()
    assert "majors-history" not in world.names("Job")
    assert history(world)["phase"] == "Waiting"


def test_progress_and_end_are_reported_with_events(world):
    world.history = FILES
    world.reconcile()
    assert history(world) == {
        "from": "2026-09", "phase": "Loading", "message": "Job majors-history loads", "files": 5, "loaded": 3,
        "proven": 3, "quarantined": 1, "absent": 2, "rows": 4000, "pastOpen": 1, "pastFilled": 2,
    }  # fmt: skip
    assert [reason for _, reason, _ in world.events].count("HistoryQuarantined") == 1

    job(world)["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    world.history = Counts({"proven": 5}, 9000)
    world.reconcile()
    world.reconcile()
    assert history(world)["phase"] == "Loaded"
    assert [reason for _, reason, _ in world.events].count("HistoryLoaded") == 1


def test_a_change_of_from_or_symbols_makes_a_new_job(world):
    job(world)["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    before = job(world)["metadata"]["annotations"]
    world.reconcile()
    assert job(world)["metadata"]["annotations"] == before, "a finished Job is not made again"

    world.edit(streams=STREAMS, history={"from": "2026-08"})
    reconciled(world)
    after = job(world)["metadata"]["annotations"]
    assert after != before
    assert "status" not in job(world)

    world.edit(streams=STREAMS, history={"from": "2026-08"}, symbols={"names": ["BTCUSDT"]})
    reconciled(world)
    assert job(world)["metadata"]["annotations"] != after


def test_a_past_longer_than_postgresql_keeps_is_loaded_by_the_job_too():
    world = World(streams=STREAMS, history={"klines": "7d"})
    reconciled(world)
    assert history(world)["phase"] == "Loading"
    assert "from" not in history(world)

    world.edit(streams=STREAMS, history={"klines": "24h"})
    reconciled(world)
    assert "majors-history" not in world.names("Job")
    assert "history" not in world.feed()["status"]


def test_without_from_the_job_goes_and_deleting_the_feed_ends_it(world):
    world.edit(streams=STREAMS, history={"klines": "24h"})
    reconciled(world)
    assert "majors-history" not in world.names("Job")
    assert "majors-history" not in world.names("NetworkPolicy")
    assert "history" not in world.feed()["status"]

    world.edit(streams=STREAMS, history={"from": "2026-09"})
    reconciled(world)
    assert world.delete()
    assert "majors-history" not in world.names("Job")


def test_an_operator_without_the_image_says_so():
    world = World(streams=STREAMS, history={"from": "2026-09"})
    world.settings = world.settings.model_copy(update={"history_image": None})
    world.reconcile()
    assert history(world)["phase"] == "Failed"
    assert "CRYPTOCDC_OPERATOR_HISTORY_IMAGE" in history(world)["message"]


@pytest.mark.parametrize(
    ("status", "phase", "message"),
    [
        ({}, "Loading", "Job x loads"),
        ({"failed": 2}, "Loading", "Job x loads, attempt 3"),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, "Incomplete", "1 planned, 1 quarantined"),
        (
            {"conditions": [{"type": "Failed", "status": "True", "message": "too many attempts"}]},
            "Failed",
            "too many attempts: the log of Job x says more",
        ),
    ],
)
def test_the_phase_follows_the_job(status, phase, message):
    made = history_progress(SPEC, FILES, {"metadata": {"name": "x"}, "status": status}, None)
    assert made is not None
    assert made.phase == phase
    assert message in (made.message or "")


DONE = {"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}


@pytest.mark.parametrize(
    ("counts", "phase", "message"),
    [
        (Counts({"proven": 3}, 40, parts={"loaded": 2}), "Loaded", "2 series of the days after them are fetched"),
        (
            Counts({"proven": 3}, 40, parts={"absent": 2}, left_out=2),
            "Loaded",
            "2 series have days that are not loaded",
        ),
        (Counts({"proven": 3}, 40, parts={"planned": 1, "loaded": 1}), "Incomplete", "1 not fetched over REST"),
        (Counts({"proven": 3}, 40, past_open=2), "Loading", "producers still fetch 2 parts of the past"),
    ],
)
def test_it_is_loaded_once_the_days_that_postgresql_keeps_are_fetched_too(counts, phase, message):
    made = history_progress(SPEC, counts, DONE, None)
    assert made is not None
    assert made.phase == phase
    assert message in (made.message or "")
    assert (made.past_open, made.past_filled) == (
        counts.past_open + counts.parts.get("planned", 0), counts.parts.get("loaded", 0),
    )  # fmt: skip


def test_the_job_may_reach_the_exchange_with_its_key():
    world = World(streams=STREAMS, history={"from": "2026-09"}, credentialsSecretRef="binance-key")
    reconciled(world)
    (container,) = job(world)["spec"]["template"]["spec"]["containers"]
    assert "CRYPTOCDC_API_KEY_FILE" in {entry["name"] for entry in container["env"]}


def test_nothing_new_gives_no_event():
    made = history_progress(SPEC, FILES, None, None)
    assert history_events(made, made) == []
