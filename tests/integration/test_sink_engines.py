"""A feed changes its sink engine while it runs: the same rows in the end, whatever is killed in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.run import Run
from cryptocdc_local.running.sink import checkpoint
from tests.integration import topics
from tests.integration.command import cryptocdc
from tests.integration.conftest import Document, Starter, feed_document
from tests.integration.runs import assert_equal, finish, rows_in_cassandra
from tests.integration.waiting import wait_for

# Some minutes; test_sink_connector.py and test_spark.py have what one engine alone must do.
pytestmark = [pytest.mark.platform, pytest.mark.soak]


def sink_state(it: Run) -> tuple[str, ...] | None:
    """The states of the sink connector's tasks, None if there is no connector."""
    state = Connect(it.servers.connect.url).state(it.plan.names.sink_connector)
    return None if state is None else state.tasks


def test_switching_the_sink_engine_twice_with_kills_ends_equal(
    start: Starter, platform: Platform, command_environment: dict[str, str], tmp_path: Path
) -> None:
    scaling = {"partitions": 6, "producers": 1, "consumers": 2}
    document = feed_document("engines", 5, analytics={"bars": ["5s"]}, scaling=scaling)
    file = tmp_path / "feed.yaml"

    def changed_to(engine: str) -> None:
        wanted: Document = {**document, "spec": {**document["spec"], "sink": {"engine": engine}}}
        file.write_text(yaml.safe_dump(wanted), encoding="utf-8")
        answer = cryptocdc(command_environment, "apply", "-f", file)
        assert answer.code == 0, answer.err

    def more_rows(of: str) -> None:
        before = rows_in_cassandra(it, "recent_trades")
        wait_for(f"rows by {of}", lambda: rows_in_cassandra(it, "recent_trades") > before + 100, 120)

    with start(document) as it:
        wait_for("rows by the consumers", lambda: rows_in_cassandra(it, "recent_trades") > 100, 120)
        group, topic = it.plan.names.consumer_group, it.plan.names.change_topic("recent_trades")

        changed_to("connect")
        wait_for("the consumers to be gone", lambda: it.programs.names("consumer") == [], 60)
        wait_for("both tasks", lambda: sink_state(it) == ("RUNNING", "RUNNING"), 90)
        more_rows("the sink connector")
        poison = topics.put(it.servers.kafka, topic, 0, b"poison", b"garbage")
        wait_for("the partition to go on", lambda: topics.committed(it.servers.kafka, group, topic, 0) > poison, 90)
        platform.kill("cassandra")  # the run starts it again
        wait_for("Cassandra to be killed and back", lambda: not platform.supervise() and platform.is_running(), 120)
        more_rows("the sink connector after Cassandra was away")
        platform.kill("connect")
        wait_for("Connect to be killed and back", lambda: not platform.supervise() and platform.is_running(), 120)
        wait_for("both tasks again", lambda: sink_state(it) == ("RUNNING", "RUNNING"), 120)
        more_rows("the sink connector after Connect was killed")
        status = cryptocdc(command_environment, "status", "--json").json()
        assert [feed["sink_engine"] for feed in status["feeds"] if feed["feed"] == "engines"] == ["connect"]

        changed_to("consumer")
        wait_for("the connector to be gone", lambda: sink_state(it) is None, 60)
        wait_for("both consumers", lambda: len(it.programs.names("consumer")) == 2, 60)
        it.programs.kill(it.programs.names("consumer")[0])
        more_rows("the consumers")

        changed_to("connect")
        wait_for("both tasks once more", lambda: sink_state(it) == ("RUNNING", "RUNNING"), 90)
        result = finish(it)
        letters = json.loads(cryptocdc(command_environment, "dlq", "list", "-f", file, "--json").out)["letters"]

    assert_equal(result)
    assert result["tables"]["bars"]["rows"] > 0
    assert [(letter["topic"], letter["offset"]) for letter in letters] == [(topic, poison)]
    assert sink_state(it) is None, "the run has ended, and its connector still runs"


@pytest.mark.timeout(1500)  # the first test with Spark installs it, 350 MB
def test_a_feed_changes_from_consumers_to_spark_to_connect_and_back_under_load_and_stays_equal(
    start: Starter, platform: Platform, command_environment: dict[str, str], tmp_path: Path
) -> None:
    scaling = {"partitions": 3, "producers": 1, "consumers": 1}
    document = feed_document("sparks", 5, analytics={"bars": ["5s"]}, scaling=scaling)
    file = tmp_path / "feed.yaml"

    def changed_to(engine: str) -> None:
        wanted: Document = {**document, "spec": {**document["spec"], "sink": {"engine": engine}}}
        file.write_text(yaml.safe_dump(wanted), encoding="utf-8")
        answer = cryptocdc(command_environment, "apply", "-f", file)
        assert answer.code == 0, answer.err

    def more_rows(of: str) -> None:
        before = rows_in_cassandra(it, "recent_trades")
        wait_for(f"rows by {of}", lambda: rows_in_cassandra(it, "recent_trades") > before + 100, 300)

    def programs(kind: str) -> int:
        return len(it.programs.names(kind))

    with start(document) as it:
        wait_for("rows by the consumer", lambda: rows_in_cassandra(it, "recent_trades") > 100, 120)
        changed_to("spark")
        wait_for("the job instead of the consumer", lambda: (programs("spark"), programs("consumer")) == (1, 0), 60)
        more_rows("Spark")
        it.programs.kill(it.programs.names("spark")[0])
        wait_for("the job to be started again", lambda: it.programs.restarts > 0, 60)
        more_rows("Spark after a kill")
        status = cryptocdc(command_environment, "status", "--json").json()
        assert [feed["sink_engine"] for feed in status["feeds"] if feed["feed"] == "sparks"] == ["spark"]
        changed_to("connect")
        wait_for("the job to be gone", lambda: programs("spark") == 0, 60)
        more_rows("the sink connector")
        changed_to("consumer")
        wait_for("the consumer", lambda: programs("consumer") == 1, 60)
        more_rows("the consumer again")
        changed_to("spark")
        wait_for("the job again", lambda: (programs("spark"), programs("consumer")) == (1, 0), 60)
        more_rows("Spark, whose checkpoint is older than the group")
        result = finish(it)

    assert_equal(result)
    assert result["tables"]["bars"]["rows"] > 0

    folder = checkpoint(platform, it.plan.names.fid)
    assert folder.is_dir()
    deleted = cryptocdc(command_environment, "delete", "-f", file)
    assert deleted.code == 0, deleted.err
    assert not folder.exists()
