"""Any exception during a pass is reported in the feed's conditions and an event, and the other steps are done."""

from typing import Any
from unittest.mock import ANY

import pytest
from kubernetes.client import ApiException
from tests.unit.operator import doubles
from tests.unit.operator.doubles import refusal
from tests.unit.operator.world import World
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from cryptocdc_operator.status.failures import describe

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}


def reconciled(world):
    """Passes over a feed that is edited and whose connector fails, until one of them fails."""
    for edit in (lambda: world.edit(symbols={"names": ["SOLUSDT"]}), world.fail_task, world.lose_slot):
        edit()
        for _ in range(3):
            outcome = world.reconcile(everything=True)
            world.others()
            if outcome.failed:
                return outcome
    return None


def made():
    world = World(streams=STREAMS, deletionPolicy="Delete")
    world.run()
    world.called.clear()
    return world


def calls(do):
    """What `do` calls of the ports, except what it can't say anything without."""
    world = made()
    do(world)
    found = {call for call in world.called if call[1] not in ("feed", "set_status")}
    return pytest.mark.parametrize(
        ("double", "name"),
        sorted(found, key=str),
        ids=sorted(f"{double.__name__}.{name}" for double, name in found),
    )


def broken(monkeypatch, double, name, error):
    def fail(self, *_, **__):
        raise error

    monkeypatch.setattr(double, name, fail)


def everything_said(world):
    conditions = world.feed()["status"]["conditions"]
    return [condition["message"] for condition in conditions if condition["status"] != "True"]


@calls(reconciled)
def test_a_failing_pass_reports_the_error_and_is_retried(monkeypatch, double, name):
    world = made()
    with monkeypatch.context() as patch:
        broken(patch, double, name, UnicodeDecodeError("utf-8", b"\x82", 0, 1, "invalid start byte"))
        outcome = reconciled(world)
    assert outcome.retry_after_s == 15
    assert any("invalid start byte" in message for message in everything_said(world))
    assert any("invalid start byte" in message for kind, _, message in world.events if kind == "Warning")
    world.run(passes=20)
    assert world.said("Ready")[0] == "True", world.condition("Ready")


@calls(lambda world: world.delete())
def test_a_failing_deletion_reports_the_error_and_is_retried(monkeypatch, double, name):
    world = made()
    with monkeypatch.context() as patch:
        broken(patch, double, name, UnicodeDecodeError("utf-8", b"\x82", 0, 1, "invalid start byte"))
        deleted = world.delete()
        # Strimzi stops the connector, too.
        assert deleted == (name == "stop_connector")
    (said,) = [message for _, reason, message in world.events if reason == "DeletionWaits"]
    assert "invalid start byte" in said
    if not deleted:
        assert world.said("Ready") == ("False", "Deleting")
        assert world.condition("Ready")["message"] == said
        assert world.delete()
    assert not world.slots


def test_a_refused_object_does_not_stop_other_steps():
    world = World(streams=STREAMS)
    world.run()
    world.not_accepted["majors-producer"] = "spec.egress[1]: no"
    world.edit(symbols={"names": ["SOLUSDT"]}, retention={"kafka": "2h"})
    assert world.reconcile().failed
    assert world.said("Ready") == ("False", "PassFailed")
    assert "NetworkPolicy" in world.condition("Ready")["message"] or "Service" in world.condition("Ready")["message"]
    assert sorted(world.symbols["majors"]) == ["SOLUSDT"]
    topic = world.objects["KafkaTopic", "majors.majors.klines"]
    assert topic["spec"]["config"] == {"retention.ms": "7200000"}
    assert world.feed()["status"]["observedGeneration"] == 1, "not all of it was applied"
    world.not_accepted = {}
    world.run()
    assert world.said("Ready")[0] == "True"


def test_conditions_are_written_even_if_the_status_is_refused(monkeypatch):
    """As when the exchange lists a name that the schema of the status does not accept."""
    world = World(streams=STREAMS)
    accept = doubles.Api.set_status

    def picky(self, name, patch):
        if "SOLUSDT" in patch.get("symbolNames", ()):
            raise refusal('CryptoFeed "majors" is invalid: status.symbolNames[0]')
        accept(self, name, patch)

    world.run()
    monkeypatch.setattr(doubles.Api, "set_status", picky)
    world.edit(symbols={"names": ["SOLUSDT"]})
    assert world.reconcile().failed
    assert world.said("Ready") == ("False", "PassFailed")
    assert "status.symbolNames[0]" in world.condition("Ready")["message"]
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]


def test_an_unreachable_api_server_ends_a_pass_immediately(monkeypatch):
    """Every further call would wait for its time limit."""
    world = World(streams=STREAMS)
    world.run()
    broken(monkeypatch, doubles.Api, "apply", ReadTimeoutError(ANY, "/", "timed out"))
    before = world.steps
    assert world.reconcile().failed
    assert world.steps - before < 30
    assert "the API server can't be reached" in world.condition("Ready")["message"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal("kafkatopics is forbidden"), "422 Unprocessable Entity: kafkatopics is forb"),
        (ApiException(status=500, reason="Internal"), "the API server answers 500 Internal: no reason given"),
        (MaxRetryError(ANY, "/apis", OSError("refused")), "the API server can't be reached"),
        (KeyError("tasks"), "KeyError: 'tasks'"),
    ],
)
def test_exceptions_are_described_in_words(error, said):
    assert said in describe(error)
