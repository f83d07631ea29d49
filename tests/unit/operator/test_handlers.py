"""kopf's handlers: when to retry, and one pass at a time per feed."""

import logging
import threading

import kopf
import pytest
from tests.unit.operator.world import World

from cryptocdc_operator import handlers
from cryptocdc_operator.context import Outcome
from cryptocdc_operator.handlers import Handlers, configure
from cryptocdc_operator.reconcile.stall_watchdog import Progress

BODY = kopf.Body({"metadata": {"name": "majors"}})


class Passes:
    """Replaces reconcile and tear_down."""

    def __init__(self):
        self.made = []
        self.outcome = Outcome(None)
        self.during = None

    def __call__(self, operator, name, post_event, everything=False):
        self.made.append((name, everything))
        if self.during is not None:
            self.during()
        return self.outcome


@pytest.fixture
def passes(monkeypatch):
    made = Passes()
    monkeypatch.setattr(handlers, "reconcile", made)
    monkeypatch.setattr(handlers, "tear_down", made)
    return made


@pytest.fixture
def world():
    return World()


@pytest.fixture
def handled(world):
    return Handlers(world.operator, Progress(), kopf.OperatorRegistry())


def counted(world, outcome):
    return world.metrics.registry.get_sample_value(
        "cryptocdc_operator_reconciles_total", {"feed": "majors", "outcome": outcome}
    )


def test_a_completed_pass_is_not_repeated(world, handled, passes):
    handled.changed(name="majors", body=BODY)
    assert passes.made == [("majors", False)]
    assert counted(world, "done") == 1


@pytest.mark.parametrize("handler", ["changed", "resumed", "drifted", "deleted"])
def test_an_unfinished_pass_is_retried_after_its_delay(handled, passes, handler):
    passes.outcome = Outcome(7.0, "Kafka")
    with pytest.raises(kopf.TemporaryError, match="Kafka") as raised:
        getattr(handled, handler)(name="majors", body=BODY)
    assert raised.value.delay == 7.0


def test_a_starting_operator_applies_everything(handled, passes):
    handled.resumed(name="majors", body=BODY)
    assert passes.made == [("majors", True)]


def posted(monkeypatch):
    events = []
    monkeypatch.setattr(kopf, "event", lambda body, **event: events.append((event["reason"], event["message"])))
    return events


@pytest.mark.parametrize("handler", ["changed", "resumed", "drifted", "deleted"])
def test_a_failure_that_ends_a_pass_is_logged_reported_once_and_left_to_kopf(
    monkeypatch, handled, passes, caplog, handler
):
    def fail():
        raise OSError("the API server is away")

    events = posted(monkeypatch)
    passes.during = fail
    for _ in range(2):
        with caplog.at_level(logging.ERROR), pytest.raises(OSError):
            getattr(handled, handler)(name="majors", body=BODY)
    assert "majors: pass failed" in caplog.text
    assert events == [("PassFailed", "OSError: the API server is away")]


@pytest.mark.parametrize(("failed", "counted_as"), [(True, "failed"), (False, "waiting")])
def test_a_pass_that_failed_in_part_is_counted_as_failed(world, handled, passes, failed, counted_as):
    passes.outcome = Outcome(15.0, "why", failed)
    with pytest.raises(kopf.TemporaryError):
        handled.changed(name="majors", body=BODY)
    assert counted(world, counted_as) == 1


def test_a_feed_has_one_pass_at_a_time(handled, passes):
    inside, go = threading.Event(), threading.Event()

    def hold():
        inside.set()
        go.wait(10)

    passes.during = hold
    first = threading.Thread(target=handled.changed, kwargs={"name": "majors", "body": BODY})
    first.start()
    assert inside.wait(10)
    handled.drifted(name="majors", body=BODY)
    assert passes.made == [("majors", False)], "the timer skips a feed that a pass is working on"
    passes.during = None
    handled.drifted(name="others", body=BODY)
    assert passes.made[-1] == ("others", False)
    go.set()
    first.join(10)
    handled.drifted(name="majors", body=BODY)
    assert passes.made[-1] == ("majors", False)


def test_the_timer_skips_a_feed_whose_change_is_being_retried(handled, passes):
    passes.outcome = Outcome(30.0, "topics")
    with pytest.raises(kopf.TemporaryError):
        handled.changed(name="majors", body=BODY)
    handled.drifted(name="majors", body=BODY)
    assert len(passes.made) == 1
    passes.outcome = Outcome(None)
    handled.changed(name="majors", body=BODY)
    handled.drifted(name="majors", body=BODY)
    assert len(passes.made) == 3


def test_kopf_uses_the_projects_finalizer_and_no_cluster_wide_access():
    settings = kopf.OperatorSettings()
    configure(settings)
    assert settings.persistence.finalizer == "cryptocdc.io/finalizer"
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert not settings.posting.loggers
    assert None not in (settings.watching.server_timeout, settings.watching.client_timeout)
