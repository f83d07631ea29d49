"""Markets that pause, come back, and are listed later: captured as soon as they trade, on real servers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_local.running import run
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.integration.command import cryptocdc
from tests.integration.conftest import Starter, feed_document
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

STREAMS = {"recentTrades": {"source": "websocket"}, "latestPrices": {"source": "rest", "period": "2s"}}


def fault(it: Run, name: str, **parameters: object) -> None:
    url = f"{it.applied.rest_url}/simulator/faults/{name}"
    requests.post(url, params={k: str(v) for k, v in parameters.items()}, timeout=5).raise_for_status()


def trades(it: Run, symbol: str) -> list[tuple[int, float]]:
    """Ids and times, in s, of a symbol's trades in PostgreSQL, in order."""
    connection = postgres.connect(it.servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT trade_id, extract(epoch FROM trade_time)::float8 FROM {it.plan.names.schema}.recent_trades"
                " WHERE symbol = %s ORDER BY trade_id",
                (symbol,),
            )
            return cursor.fetchall()
    finally:
        connection.close()


def assert_whole(it: Run, symbol: str) -> None:
    """Its trades have no hole, and all of the feed is proven equal."""
    wait_for("no gap open", lambda: it.figures().gaps_open == 0, 90)
    it.stop_capture()
    report = prove(it.applied, it.servers, lambda _: None)
    assert report["equal"], report
    ids = [id for id, _ in trades(it, symbol)]
    assert ids == list(range(ids[0], ids[-1] + 1))


@pytest.mark.soak  # a minute
def test_the_only_market_is_captured_within_30_s_after_a_halt_of_40_s(start: Starter) -> None:
    with start(feed_document("halt", ["BTCUSDT"], STREAMS)) as it:
        wait_for("trades", lambda: trades(it, "BTCUSDT"), 90)
        fault(it, "delist", symbol="BTCUSDT")
        halted_at = time.time()
        wait_for("40 s of silence", lambda: time.time() - halted_at >= 40, 60)
        fault(it, "resume", symbol="BTCUSDT")
        resumed_at = time.time()
        wait_for("a trade after the halt", lambda: trades(it, "BTCUSDT")[-1][1] > resumed_at, 30)
        assert_whole(it, "BTCUSDT")


def test_a_paused_market_stays_in_the_feed_and_is_captured_again(
    start: Starter, command_environment: dict[str, str]
) -> None:
    with start(feed_document("paused", ["BTCUSDT", "ETHUSDT"], STREAMS)) as it:
        wait_for("trades", lambda: trades(it, "ETHUSDT"), 90)
        fault(it, "delist", symbol="ETHUSDT")
        wait_for("the pause shown", lambda: it.figures().halted == ("ETHUSDT",), 120)
        assert it.figures().symbols == 1
        status = cryptocdc(command_environment, "status", "--json").json()
        feed = next(feed for feed in status["feeds"] if feed["identity"] == it.plan.names.fid)
        assert (feed["halted"], feed["waiting"]) == (["ETHUSDT"], [])
        fault(it, "resume", symbol="ETHUSDT")
        resumed_at = time.time()
        wait_for("a trade after the pause", lambda: trades(it, "ETHUSDT")[-1][1] > resumed_at, 30)
        wait_for("the pause no longer shown", lambda: it.figures().halted == (), 30)
        assert_whole(it, "ETHUSDT")


@pytest.fixture
def waiting(start: Starter) -> Iterator[Run]:
    """A run of a feed that names a market which is not listed yet."""
    with start(feed_document("listing", ["BTCUSDT", "NEWUSDT"], STREAMS)) as it:
        yield it


def test_a_market_that_is_not_listed_is_waited_for_and_captured_from_its_first_trade(
    waiting: Run, command_environment: dict[str, str]
) -> None:
    assert list(waiting.applied.waiting) == ["NEWUSDT"]
    assert waiting.applied.notes[0].startswith("NEWUSDT is not listed by simulated: waiting for its first trade")
    wait_for("trades of the other", lambda: trades(waiting, "BTCUSDT"), 90)
    wait_for("that it waits", lambda: waiting.figures().waiting == ("NEWUSDT",), 60)
    assert "not listed yet: NEWUSDT" in " ".join(cryptocdc(command_environment, "status").out.split())

    fault(waiting, "list", base="NEW", quote="USDT", unseen=5)
    wait_for("its trades", lambda: trades(waiting, "NEWUSDT"), 30)
    wait_for("its first trades, which no stream carried", lambda: trades(waiting, "NEWUSDT")[0][0] == 0, 60)
    wait_for("that it waits no more", lambda: waiting.figures().waiting == (), 30)
    assert waiting.figures().gap_rows_filled >= 5
    assert_whole(waiting, "NEWUSDT")


def test_during_maintenance_no_symbol_becomes_unknown(waiting: Run) -> None:
    wait_for("trades", lambda: trades(waiting, "BTCUSDT"), 90)
    fault(waiting, "maintenance", kind="odd-market", seconds=60)
    resolved = run.resolved(waiting.applied.document, waiting.chosen, ())
    assert resolved.symbols == ("BTCUSDT", "NEWUSDT")
    assert (resolved.halted, resolved.waiting) == ((), {})
    assert resolved.suspect == "it lists 1 market and lacks 2 of 2 known ones: BTCUSDT, ETHUSDT"
    assert resolved.notes == [f"simulated's list of markets is implausible: {resolved.suspect}"]
    at = time.time()
    wait_for("trades all the while", lambda: trades(waiting, "BTCUSDT")[-1][1] > at, 30)
