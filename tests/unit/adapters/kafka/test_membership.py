"""Whether a client is in its group, by the client's own statistics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Consumer
from tests.integration.waiting import wait_for

from cryptocdc_adapters.kafka.membership import PATIENCE_S, Membership


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def membership(clock: Clock) -> Membership:
    return Membership("majors-consumer", clock)


def statistics(state: str, join_state: str) -> str:
    """Some of the other fields are included."""
    group: dict[str, Any] = {"state": state, "join_state": join_state, "stateage": 1, "assignment_size": 0}
    return json.dumps({"name": "rdkafka#consumer-1", "brokers": {}, "cgrp": group})


def test_a_member_without_partitions_is_a_member(membership: Membership) -> None:
    membership.take(statistics("up", "steady"))
    assert membership.member
    assert membership.obstacle() is None


@pytest.mark.parametrize(
    ("state", "join_state"), [("query-coord", "init"), ("up", "wait-join"), ("wait-coord", "steady")]
)
def test_a_group_that_does_not_form_is_reported_within_seconds(
    membership: Membership, clock: Clock, state: str, join_state: str
) -> None:
    for _ in range(6):
        membership.take(statistics(state, join_state))
        clock.now += 2
    assert not membership.member
    said = membership.obstacle()
    assert said == f"not a member of group majors-consumer for 12 s: coordinator {state}, member {join_state}"


def test_a_rebalance_is_not_an_obstacle(membership: Membership, clock: Clock) -> None:
    membership.take(statistics("up", "steady"))
    clock.now += 60
    membership.take(statistics("up", "wait-sync"))
    clock.now += PATIENCE_S - 1
    assert membership.obstacle() is None
    membership.take(statistics("up", "steady"))
    clock.now += 60
    assert membership.obstacle() is None


def test_a_client_that_was_never_polled_is_not_taken_for_a_member(membership: Membership, clock: Clock) -> None:
    clock.now += 30
    assert not membership.member
    assert "not polled yet" in (membership.obstacle() or "")


def test_the_client_s_statistics_have_the_expected_form() -> None:
    """Without a broker the client is in no group, and reports it."""
    membership = Membership("g")
    taken: list[str] = []
    settings = {**membership.settings, "statistics.interval.ms": 50}
    settings["stats_cb"] = lambda text: (taken.append(text), membership.take(text))
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:9", "group.id": "g", "log_level": 0} | settings)
    try:
        consumer.subscribe(["t"])
        wait_for("statistics", lambda: consumer.poll(0.1) is None and bool(taken), 10)
        assert not membership.member
        assert {"state", "join_state"} <= json.loads(taken[0])["cgrp"].keys()
    finally:
        consumer.close()
