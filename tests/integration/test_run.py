"""Whole runs: from the simulated exchange through every server into Cassandra, and proven."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import requests

from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.catalogue import STREAMS
from cryptocdc_local.applier import apply
from cryptocdc_local.running import run
from cryptocdc_local.running.draining import open_gaps
from cryptocdc_local.running.run import Run
from tests.integration.conftest import ALL_STREAMS, Starter, feed_document
from tests.integration.runs import (
    TABLES,
    assert_equal,
    assert_no_gap,
    change,
    fault,
    finish,
    rows_in_cassandra,
    rows_of,
    trade_ids,
)
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


def test_every_stream_by_websocket_arrives_and_is_proven_equal(start: Starter) -> None:
    with start(feed_document("ws", 5)) as it:
        wait_for("rows of every stream in Cassandra", lambda: all(rows_in_cassandra(it, t) for t in TABLES))
        result = finish(it)

    assert_equal(result)
    assert set(result["counts"]) == TABLES
    assert min(result["counts"].values()) > 0


def test_every_stream_by_rest_arrives_and_is_proven_equal(start: Starter) -> None:
    streams = {
        "recentTrades": {"source": "rest", "kind": "aggregate", "period": "2s"},
        "klines": {"source": "rest", "intervals": ["1m"], "period": "2s"},
        "crypto24hStats": {"source": "rest", "period": "2s"},
        "latestPrices": {"source": "rest", "period": "1s"},
        "orderBook": {"source": "rest", "depth": 20, "interval": "2s"},
    }
    tables = {STREAMS[name].table for name in streams}
    with start(feed_document("rest", 3, streams)) as it:
        wait_for("rows of every stream in Cassandra", lambda: all(rows_in_cassandra(it, t) for t in tables))
        # Meanwhile a proxy answers instead of the exchange.
        fault(it, "page", seconds=5)
        wait_for("pages refused", lambda: it.figures().rejected)
        fault(it, "clear")
        before = rows_in_cassandra(it, "latest_prices")
        wait_for("prices after the pages", lambda: rows_in_cassandra(it, "latest_prices") > before + 2)
        result = finish(it)

    assert_equal(result)
    assert min(result["counts"].values()) > 0


def test_raw_trades_are_captured_one_by_one(start: Starter) -> None:
    with start(feed_document("raw", ["BTCUSDT"], {"recentTrades": {"source": "websocket", "kind": "trade"}})) as it:
        wait_for("trades in Cassandra", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        result = finish(it)
        ids = trade_ids(it, "BTCUSDT")

    assert_equal(result)
    assert ids == list(range(ids[0], ids[-1] + 1))


def test_a_gap_in_the_trades_is_found_and_filled(start: Starter) -> None:
    with start(feed_document("gap", ["BTCUSDT", "ETHUSDT"], {"recentTrades": {"source": "websocket"}})) as it:
        # A gap shows against a trade before it; the other symbol may have a burst while this one has none yet.
        wait_for("trades of the symbol whose trades are dropped", lambda: len(trade_ids(it, "BTCUSDT")) > 5)
        fault(it, "drop-trades", symbol="BTCUSDT", count=40)
        wait_for("the gap filled", lambda: it.figures().gap_rows_filled > 0 and it.figures().gaps_open == 0, 90)
        fault(it, "cut")
        wait_for("more trades", lambda: rows_in_cassandra(it, "recent_trades") > 200, 90)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 90)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


@pytest.mark.soak  # more than a minute
def test_a_candle_left_open_by_a_first_start_is_closed_by_the_next(start: Starter) -> None:
    """Nothing closed is stored then, from which the search for gaps could go on."""

    def klines(it: Run) -> dict[int, bool]:
        """By open time in ms whether it is closed."""
        schema = it.plan.names.schema
        return dict(rows_of(it, f"SELECT (extract(epoch FROM open_time) * 1000)::bigint, closed FROM {schema}.klines"))

    document = feed_document("ajar", ["BTCUSDT"], {"klines": {"source": "websocket", "intervals": ["1m"]}})
    wait_for("a minute that has just begun", lambda: time.time() % 60 < 20)
    with start(document) as it:
        wait_for("an open candle in Cassandra", lambda: rows_in_cassandra(it, "klines"))
        it.stop_capture()
        (opened,) = klines(it)
        assert klines(it) == {opened: False}
        wait_for("the end of its minute", lambda: time.time() * 1000 > opened + 60_000, 90)
    with start(document) as it:
        wait_for("its close", lambda: klines(it)[opened], 90)
        result = finish(it)
        assert klines(it).keys() == set(range(opened, max(klines(it)) + 1, 60_000))

    assert_equal(result)


@pytest.fixture
def shared_run(start: Starter) -> Iterator[Run]:
    document = feed_document(
        "shared", 8, ALL_STREAMS, analytics={"bars": ["5s", "1m"]},
        scaling={"partitions": 6, "producers": 2, "consumers": 3, "analyzers": 2},
    )  # fmt: skip
    with start(document) as it:
        yield it


def captured_by(it: Run) -> dict[str, int]:
    """How many symbols each producer captures, of those that answer."""
    found = {}
    for name in it.programs.names("producer"):
        try:
            text = requests.get(f"http://127.0.0.1:{it.programs.ports()[name]}/metrics", timeout=2).text
        except requests.RequestException:
            continue
        for line in text.splitlines():
            if line.startswith("cryptocdc_producer_symbols "):
                found[name] = int(float(line.split()[1]))
    return found


def test_two_producers_and_three_consumers_share_the_work_although_one_of_each_dies(shared_run: Run) -> None:
    it, started = shared_run, time.monotonic()

    def spread_over_two() -> dict[str, int] | None:
        found = captured_by(it)
        return found if len(found) == 2 and min(found.values()) > 0 and sum(found.values()) == 8 else None

    spread = wait_for("every symbol captured, by two producers", spread_over_two, 90)
    wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 100)
    it.programs.kill(min(spread))
    it.programs.kill(it.programs.names("consumer")[0])
    it.programs.kill(it.programs.names("analyzer")[0])
    wait_for("all symbols captured again", lambda: sum(captured_by(it).values()) >= 8, 90)
    before = rows_in_cassandra(it, "recent_trades")
    wait_for("rows go on", lambda: rows_in_cassandra(it, "recent_trades") > before + 100, 90)
    wait_for("no gap open", lambda: it.figures().gaps_open == 0, 120)
    wait_for("bars of closed windows", lambda: time.monotonic() > started + 45, 60)
    result = finish(it)

    assert_no_gap(it, it.applied.symbols)
    assert_equal(result)
    assert result["tables"]["bars"]["rows"] > 0


@pytest.mark.parametrize(
    "server",
    [
        "postgres",
        "kafka",
        # The end-to-end tests in .ci/run kill their pods as well.
        pytest.param("connect", marks=pytest.mark.soak),
        pytest.param("cassandra", marks=pytest.mark.soak),
    ],
)
def test_a_server_restarted_under_load_loses_nothing(start: Starter, server: str) -> None:
    with start(feed_document(f"crash-{server}", 4)) as it:
        wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 50)
        it.platform.kill(server)
        wait_for("the server runs again", it.platform.is_running, 120)
        before = rows_in_cassandra(it, "recent_trades")
        wait_for("rows go on", lambda: rows_in_cassandra(it, "recent_trades") > before + 100, 120)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 120)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


def test_a_temporarily_unreachable_exchange_loses_no_trades(start: Starter) -> None:
    with start(feed_document("away", ["BTCUSDT", "ETHUSDT"], {"recentTrades": {"source": "websocket"}})) as it:
        assert it.simulator is not None
        wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        it.simulator.kill()
        wait_for("the simulator runs again", it.simulator.alive, 90)
        before = rows_in_cassandra(it, "recent_trades")
        wait_for("rows go on", lambda: rows_in_cassandra(it, "recent_trades") > before + 100, 120)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 120)
        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


def test_symbols_are_added_and_removed_without_a_restart(start: Starter) -> None:
    document = feed_document("comego", ["BTCUSDT", "ETHUSDT"])
    with start(document) as it:
        wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        pids = it.programs.pids()
        changed = feed_document("comego", ["BTCUSDT", "BNBUSDT"])
        applied = run.resolved(changed, it.chosen, ())
        done = apply(run.planned_of(applied, it.servers), it.servers, lambda _: None)
        it.store.write(applied)
        assert (done.added, done.removed) == (["BNBUSDT"], ["ETHUSDT"])
        wait_for("trades of the new symbol", lambda: trade_ids(it, "BNBUSDT"))
        settled = wait_for("no more trades of the old one", lambda: quiet(it, "ETHUSDT"))
        result = finish(it)

        assert it.programs.restarts == 0
        assert it.programs.pids() == {name: pid for name, pid in pids.items() if "producer" not in name}

    assert settled
    assert_equal(result)


def test_a_stream_added_during_a_run_is_carried_and_monitored(start: Starter) -> None:
    prices, trades = {"latestPrices": {"source": "websocket"}}, {"recentTrades": {"source": "websocket"}}
    with start(feed_document("grown", ["BTCUSDT"], prices)) as it:
        wait_for("prices", lambda: rows_in_cassandra(it, "latest_prices"))
        grown = feed_document("grown", ["BTCUSDT"], {**prices, **trades})
        applied = run.resolved(grown, it.chosen, it.applied.symbols)
        planned = run.planned_of(applied, it.servers)
        apply(planned, it.servers, lambda _: None)
        it.store.write(applied)
        wait_for("the change taken over", lambda: it.event == "change to the feed applied", 90)
        assert it.plan == planned
        wait_for("trades", lambda: rows_in_cassandra(it, "recent_trades"), 90)
        # What the run itself would make again is what is in force now.
        Connect(it.servers.connect.url).delete(planned.names.connector)
        before = rows_in_cassandra(it, "recent_trades")
        wait_for("trades go on", lambda: rows_in_cassandra(it, "recent_trades") > before + 50, 120)
        result = finish(it)

    assert_equal(result)
    assert set(result["counts"]) == {"latest_prices", "recent_trades"}


def test_a_run_that_ends_while_a_gap_is_open_fills_it_first(start: Starter) -> None:
    with start(feed_document("ending", ["BTCUSDT"], {"recentTrades": {"source": "websocket"}})) as it:
        wait_for("trades", lambda: len(trade_ids(it, "BTCUSDT")) > 5)
        fault(it, "drop-trades", symbol="BTCUSDT", count=30)
        wait_for("a gap", lambda: open_gaps(it) != [], 30)
        result = finish(it)
        assert_no_gap(it, ("BTCUSDT",))

    assert_equal(result)


def test_a_stream_removed_and_added_again_lacks_nothing(start: Starter) -> None:
    """Its producers write until they are replaced, and what they write is carried all the same."""
    prices, trades = {"latestPrices": {"source": "websocket"}}, {"recentTrades": {"source": "websocket"}}
    with start(feed_document("back", ["BTCUSDT"], {**prices, **trades})) as it:
        wait_for("trades", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        config = Connect(it.servers.connect.url).config(it.plan.names.connector)
        change(it, feed_document("back", ["BTCUSDT"], prices))
        assert [stream.table for stream in it.plan.streams] == ["latest_prices"]
        assert "recent_trades" in [stream.table for stream in it.plan.carried]
        wait_for("no more trades, but prices", lambda: only_prices(it))
        assert Connect(it.servers.connect.url).config(it.plan.names.connector) == config
        seen = trade_ids(it, "BTCUSDT")[-1]
        change(it, feed_document("back", ["BTCUSDT"], {**prices, **trades}))
        wait_for("trades again", lambda: trade_ids(it, "BTCUSDT")[-1] > seen + 20, 90)
        result = finish(it)
        assert_no_gap(it, ("BTCUSDT",))
        stored = trade_ids(it, "BTCUSDT")

    assert_equal(result)
    # Not more than 40: the first wait counts acknowledged rows, and a row that was sent twice is one trade.
    assert stored[0] < seen < stored[-1] - 20
    assert result["counts"]["recent_trades"] == len(stored)


def only_prices(it: Run, seconds: float = 3) -> bool:
    """Whether prices came and no trade did for so long."""
    trades, prices = trade_ids(it, "BTCUSDT"), rows_in_cassandra(it, "latest_prices")
    time.sleep(seconds)
    return trade_ids(it, "BTCUSDT") == trades and rows_in_cassandra(it, "latest_prices") > prices


def test_top_is_resolved_again_after_a_day_until_it_succeeds(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    # The run's own daily look would run beside the calls below.
    monkeypatch.setattr(run, "RESOLVE_LOOK_S", 3600.0)
    with start(feed_document("daily", 3, {"latestPrices": {"source": "websocket"}})) as it:
        before, gone, paused = it.applied.symbols, it.applied.symbols[0], it.applied.symbols[1]
        for maintenance in ("break", "empty"):
            fault(it, "maintenance", kind=maintenance, seconds=600)
            it.applied = replace(it.applied, resolved_at=time.time() - run.RESOLVE_AGAIN_S)
            it._resolve_again()
            assert it.applied.symbols == before, maintenance
            assert (it.applied.halted, it.applied.suspect) == {
                "break": (before, ""),
                "empty": ((), "it lists no markets"),
            }[maintenance]
        fault(it, "clear")

        it.applied = replace(it.applied, resolved_at=time.time() - run.RESOLVE_AGAIN_S)
        fault(it, "delist", symbol=gone, remove="true")
        fault(it, "delist", symbol=paused)
        with monkeypatch.context() as broken:
            broken.setattr(run, "apply", Mock(side_effect=ConnectionError))
            with pytest.raises(ConnectionError):
                it._resolve_again()
        assert it.applied.symbols == before

        it._resolve_again()
        assert it.applied.symbols == before, "one answer takes no symbol out"
        assert (it.applied.halted, list(it.applied.waiting)) == ((paused,), [gone])
        it.applied = replace(it.applied, resolved_at=time.time() - run.RESOLVE_LOOK_S)
        it._resolve_again()
        after = it.applied.symbols
        assert len(after) == 3
        assert gone not in after
        assert paused in after, "a pause costs no rank"
        assert it.plan.symbols.keys() == set(after)
        stored = it.store.read(it.plan.names.fid)
        assert stored is not None
        assert stored.symbols == after
        (joined,) = set(after) - set(before)
        wait_for("prices of the one that joined", lambda: joined in captured_symbols(it))


def captured_symbols(it: Run) -> set[str]:
    return {row[0] for row in rows_of(it, f"SELECT DISTINCT symbol FROM {it.plan.names.schema}.latest_prices")}


def quiet(it: Run, symbol: str, seconds: float = 3) -> bool:
    """Whether no trade of `symbol` came for so long while those of others did."""
    before, others = len(trade_ids(it, symbol)), len(trade_ids(it, "BTCUSDT"))
    time.sleep(seconds)
    return len(trade_ids(it, symbol)) == before and len(trade_ids(it, "BTCUSDT")) > others


def test_a_second_start_keeps_the_data_and_continues(start: Starter) -> None:
    document = feed_document("again", ["BTCUSDT"], {"recentTrades": {"source": "websocket"}})
    with start(document) as it:
        wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        first = finish(it)
    with start(document) as it:
        wait_for("rows", lambda: rows_in_cassandra(it, "recent_trades") > 20)
        wait_for("the pause filled", lambda: it.figures().gaps_open == 0, 90)
        second = finish(it)
        assert_no_gap(it, ("BTCUSDT",))

    assert_equal(first)
    assert_equal(second)
    assert second["rows"] > first["rows"]


def test_a_capture_is_stored_exactly_to_the_digit(start: Starter, spot_capture: Path) -> None:
    """The recorded capture against an independent application of the recorded snapshots and diffs."""
    from tests.integration import recorded

    document = recorded.feed()
    with start(document, source=f"capture:{spot_capture}") as it:
        wait_for("the end of the capture", it.simulator.capture_finished, 120)  # type: ignore[union-attr]
        result = finish(it)
        books = recorded.stored_books(it)
        trades = recorded.stored(it, "recent_trades", "symbol, trade_id, price, quantity")
        klines = recorded.stored(it, "klines", "symbol, interval, close, volume, closed")

    assert_equal(result)
    assert result["counts"]["recent_trades"] == 2
    assert result["counts"]["klines"] == 2
    assert sorted(map(tuple, trades)) == sorted(recorded.expected_trades(spot_capture))
    assert sorted(map(tuple, klines)) == sorted(recorded.expected_klines(spot_capture))
    assert books == recorded.expected_books(spot_capture)
