"""A group's committed offsets, asked of a broker that has just started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cryptocdc_adapters.kafka import apply_topics, delete_topics
from cryptocdc_core.plan import Topic
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Endpoints, Platform

pytestmark = pytest.mark.platform

STARTS, GROUPS = 3, 40
TOPIC = "group-offsets"
ASKING = f"""
import sys
from cryptocdc_adapters import offsets
from cryptocdc_core.settings import KafkaSettings
for number in range({GROUPS}):
    print(offsets.committed(KafkaSettings.from_env(), f"unused-{{sys.argv[1]}}-{{number}}", [("{TOPIC}", 0)]))
"""
"""In a process of its own: what is feared is a crash of the whole process, in the client's own threads."""


def test_a_group_that_nobody_has_used_can_be_asked_for_right_after_the_broker_has_started(
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
