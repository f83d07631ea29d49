"""Five minutes of all streams of 20 symbols, undisturbed and with every part killed: `make soak`, about 15 minutes."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

import pytest

from cryptocdc_local.platform import SERVERS
from cryptocdc_local.run import Run
from tests.integration.conftest import ALL_STREAMS, Starter, feed_document
from tests.integration.test_run import TABLES, assert_equal, assert_no_gap, finish, rows_in_cassandra
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.platform, pytest.mark.soak, pytest.mark.timeout(1200)]
SECONDS = float(os.environ.get("CRYPTOCDC_SOAK_S", "300"))
SYMBOLS = 20


def test_all_streams_of_20_symbols_arrive(start: Starter) -> None:
    with start(feed_document("soak", SYMBOLS)) as it:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(min(10, SECONDS))
            told(it)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert len(it.applied.symbols) == SYMBOLS
    assert set(result["counts"]) == TABLES
    assert min(result["counts"].values()) >= SYMBOLS
    assert_equal(result)


def test_a_producer_a_consumer_and_every_server_killed_on_the_way_lose_nothing(start: Starter) -> None:
    scaling = {"partitions": 6, "producers": 2, "consumers": 2}
    with start(feed_document("soak-kills", SYMBOLS, ALL_STREAMS, scaling=scaling)) as it:
        began = time.monotonic()
        victims = [it.programs.names("producer")[0], it.programs.names("consumer")[0], *SERVERS]
        for number, victim in enumerate(victims, 1):
            time.sleep(max(0.0, began + number * SECONDS / (len(victims) + 1) - time.monotonic()))
            wait_for("all of it running", it.platform.is_running, 120)
            print(f"killing {victim}", file=sys.stderr)
            if victim in SERVERS:
                it.platform.kill(victim)
            else:
                it.programs.kill(victim)
            wait_for(f"rows after {victim} died", partial(grown, it, told(it) + 100), 180)
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 180)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


def grown(it: Run, least: int) -> bool:
    return told(it) > least


def told(it: Run) -> int:
    """Trades in Cassandra; shown, since nothing else is for minutes."""
    rows = rows_in_cassandra(it, "recent_trades")
    print(f"{time.strftime('%H:%M:%S')} {rows} trades in Cassandra {it.event}", file=sys.stderr)
    return rows
