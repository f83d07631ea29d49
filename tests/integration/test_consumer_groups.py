"""Consumer groups on a real broker: their offsets right after it has started, and one that can't form."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from confluent_kafka import Consumer

from cryptocdc_adapters.kafka.clients import apply_topics, delete_topics, group_config
from cryptocdc_adapters.kafka.membership import Membership
from cryptocdc_core.planning.plan import Topic
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Endpoints, Platform
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

STARTS, GROUPS = 2, 60
TOPIC = "group-offsets"
ASKING = f"""
import sys
from cryptocdc_adapters.kafka import offsets
from cryptocdc_core.program.settings import KafkaSettings
for number in range({GROUPS}):
    print(offsets.committed(KafkaSettings.from_env(), f"unused-{{sys.argv[1]}}-{{number}}", [("{TOPIC}", 0)]))
"""
"""In a process of its own: what is feared is a crash of the whole process, in the client's own threads."""


@pytest.mark.soak  # a minute
def test_offsets_of_an_unused_group_can_be_read_right_after_the_broker_starts(
    platform: Platform, endpoints: Endpoints, servers: Servers
) -> None:
    apply_topics(servers.kafka, [Topic(TOPIC, 1, {})], 1)
    try:
        for start in range(STARTS):
            platform.kill("kafka")
            assert platform.supervise() == {"kafka": None}
            asked = subprocess.run(
                [sys.executable, "-c", ASKING, str(start)],
                env={**os.environ, **endpoints.environment()}, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert asked.returncode == 0, asked.stderr
            assert asked.stdout.split() == ["{}"] * GROUPS
    finally:
        delete_topics(servers.kafka, [TOPIC])


def test_a_client_outside_its_group_is_not_a_member_although_the_broker_responds(servers: Servers) -> None:
    """The broker refuses a session that is shorter than it allows, again and again, and answers all else."""
    apply_topics(servers.kafka, [Topic(TOPIC, 1, {})], 1)
    membership = Membership("never-formed")
    too_short = {"session.timeout.ms": 100, "heartbeat.interval.ms": 50}
    consumer = Consumer(group_config(servers.kafka, "never-formed") | membership.settings | too_short)
    try:
        consumer.subscribe([TOPIC])

        def reported() -> bool:
            consumer.poll(0.2)
            return membership.obstacle() is not None

        wait_for("the obstacle", reported, 60)
        assert TOPIC in consumer.list_topics(TOPIC, timeout=10).topics
        assert not membership.member
        assert "not a member of group never-formed" in (membership.obstacle() or "")
    finally:
        consumer.close()
        delete_topics(servers.kafka, [TOPIC])
