"""Five minutes of all streams of 20 symbols, undisturbed, and by each sink engine with every part killed, then of each
venue's example with faults at the exchange and a killed producer: `make soak`, about 50 minutes."""

from __future__ import annotations

import itertools
import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from cryptocdc_local.platform import SERVERS
from cryptocdc_local.running.run import Run
from tests.integration.conftest import ALL_STREAMS, Starter, feed_document
from tests.integration.runs import TABLES, assert_equal, assert_no_gap, fault, finish, rows_in_cassandra
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.platform, pytest.mark.soak, pytest.mark.timeout(1200)]
SECONDS = float(os.environ.get("CRYPTOCDC_SOAK_S", "300"))
SYMBOLS = 20


def test_all_streams_of_20_symbols_arrive(start: Starter) -> None:
    with start(feed_document("soak", SYMBOLS)) as it:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(min(10, SECONDS))
            trades_stored(it)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert len(it.applied.symbols) == SYMBOLS
    assert set(result["counts"]) == TABLES
    assert min(result["counts"].values()) >= SYMBOLS
    assert_equal(result)


@pytest.mark.parametrize(("engine", "writers"), [("consumer", ["consumer"]), ("connect", []), ("spark", ["spark"])])
def test_killing_a_producer_what_writes_and_every_server_loses_nothing(
    start: Starter, engine: str, writers: list[str]
) -> None:
    """A sink connector's tasks are killed with Kafka Connect, which is one of the servers."""
    scaling = {"partitions": 6, "producers": 2, "consumers": 2}
    document = feed_document(f"soak-{engine}", SYMBOLS, ALL_STREAMS, scaling=scaling, sink={"engine": engine})
    with start(document) as it:
        wait_for("trades", partial(grown, it, 0), 300)
        began = time.monotonic()
        victims = [it.programs.names(kind)[0] for kind in ["producer", *writers]] + list(SERVERS)
        for number, victim in enumerate(victims, 1):
            time.sleep(max(0.0, began + number * SECONDS / (len(victims) + 1) - time.monotonic()))
            wait_for("all of it running", it.platform.is_running, 120)
            print(f"killing {victim}", file=sys.stderr)
            if victim in SERVERS:
                it.platform.kill(victim)
            else:
                it.programs.kill(victim)
            wait_for(f"rows after {victim} died", partial(grown, it, trades_stored(it) + 100), 300)
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 180)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


TRADES = [("drop-trades", {"count": 10}), ("duplicate", {"count": 20}), ("reorder", {"count": 10}), ("cut", {})]
CHAINED_BOOK = [("depth-gap", {"count": 3})]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("example", "faults"),
    [
        ("feed", TRADES + CHAINED_BOOK),
        ("binance-usdm", TRADES + CHAINED_BOOK),
        ("okx", TRADES + CHAINED_BOOK),
        ("coinbase", TRADES),
    ],
)
def test_a_venue_with_cuts_gaps_repeats_and_a_killed_producer_loses_nothing(
    start: Starter, example: str, faults: list[tuple[str, dict[str, int]]]
) -> None:
    with start(yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8"))) as it:
        wait_for("trades", partial(grown, it, 0), 120)
        began, symbols, rounds = time.monotonic(), it.applied.symbols, itertools.count(1)
        while (number := next(rounds)) * 15 < SECONDS:
            time.sleep(max(0.0, began + number * 15 - time.monotonic()))
            name, parameters = faults[number % len(faults)]
            of = {"symbol": symbols[number % len(symbols)]} if name in ("drop-trades", "depth-gap") else {}
            print(f"{name} {of}", file=sys.stderr)
            fault(it, name, **of, **parameters)
            if number == 10:
                print("killing the producer", file=sys.stderr)
                it.programs.kill(it.programs.names("producer")[0])
            trades_stored(it)
        wait_for("rows again", partial(grown, it, trades_stored(it)), 120)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 180)
        assert it.figures().gap_rows_filled > 0
        result = finish(it)
        assert_no_gap(it, symbols)

    assert_equal(result)
    print(f"{example}: {result}", file=sys.stderr)


def grown(it: Run, least: int) -> bool:
    return trades_stored(it) > least


def trades_stored(it: Run) -> int:
    """Return the number of trades in Cassandra, and print it, since nothing else is printed for minutes."""
    rows = rows_in_cassandra(it, "recent_trades")
    print(f"{time.strftime('%H:%M:%S')} {rows} trades in Cassandra {it.event}", file=sys.stderr)
    return rows
