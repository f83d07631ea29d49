"""A slot lost during a run is healed twice; then the connector is stopped, until the next start."""

from __future__ import annotations

import pytest

from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_control.connector import MOST_SNAPSHOTS
from cryptocdc_local.running.run import Run
from tests.integration.conftest import Starter, feed_document
from tests.integration.runs import assert_equal, finish, rows_in_cassandra
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.platform, pytest.mark.soak]  # .ci/run has three faults of a lost slot: test_faults.py
FEED = feed_document("lostslot", ["BTCUSDT"], {"latestPrices": {"source": "websocket"}})


def connector(it: Run) -> Connect:
    return Connect(it.servers.connect.url)


def running(it: Run) -> bool:
    state = connector(it).state(it.plan.names.connector)
    return state is not None and state.running


def lose_slot(it: Run) -> None:
    """As when PostgreSQL was restored from a backup: the connector has a position, and no slot."""
    wait_for("a position", lambda: connector(it).position(it.plan.names.connector) is not None, 60)
    connector(it).stop(it.plan.names.connector)
    connector(it).wait_stopped(it.plan.names.connector)
    slots.drop(it.servers.postgres, it.servers.replication, it.plan.names.slot)


def test_a_third_loss_stops_the_connector_and_the_next_start_takes_a_new_snapshot(start: Starter) -> None:
    with start(FEED) as it:
        wait_for("rows in Cassandra", lambda: rows_in_cassandra(it, "latest_prices") > 0)
        for attempt in range(1, MOST_SNAPSHOTS + 1):
            lose_slot(it)
            wait_for(f"snapshot {attempt}", lambda: "a new snapshot" in it.event, 60)
            wait_for("the connector", lambda: running(it), 60)
            wait_for("nothing to say of it", lambda: not it.event, 60)
        lose_slot(it)
        wait_for("the halt", lambda: it.event.startswith("connector halted"), 60)
        state = connector(it).state(it.plan.names.connector)
        assert state is not None
        assert (state.state, state.tasks) == ("STOPPED", ())
        assert slots.read(it.servers.postgres, it.plan.names.slot) is None

    with start(FEED) as it:
        wait_for("the connector", lambda: running(it), 60)
        wait_for("rows in Cassandra", lambda: rows_in_cassandra(it, "latest_prices") > 0)
        assert_equal(finish(it))
