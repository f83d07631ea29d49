"""Unusual data from an exchange: restarted and absurd ids, crossed books, candles revised after their end, odd rows."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import requests

from cryptocdc_local.running.run import Run
from tests.integration.command import cryptocdc
from tests.integration.conftest import Starter, feed_document
from tests.integration.runs import assert_equal, fault, finish, rows_in_cassandra, rows_of
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


def counted(it: Run, metric: str) -> float:
    """The value of a metric of the producers, all of them together; 0 while it is not there."""
    found = 0.0
    for name in it.programs.names("producer"):
        text = requests.get(f"http://127.0.0.1:{it.programs.ports()[name]}/metrics", timeout=5).text
        found += sum(float(value) for value in re.findall(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE))
    return found


def newest_book(it: Run, symbol: str) -> tuple[int, int]:
    """Of the newest row of a symbol's book the bucket's time in ms and the last update id."""
    query = (
        "SELECT (extract(epoch FROM bucket_time) * 1000)::bigint, last_update_id"
        f" FROM {it.plan.names.schema}.order_book WHERE symbol = %s ORDER BY bucket_time DESC LIMIT 1"
    )
    rows = rows_of(it, query, symbol)
    return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)


def test_a_book_whose_update_ids_restart_continues_with_the_new_ones(start: Starter) -> None:
    streams = {"orderBook": {"source": "websocket", "depth": 20, "interval": "1s"}}
    with start(feed_document("restarted", ["BTCUSDT", "ETHUSDT"], streams)) as it:
        wait_for("books of both", lambda: newest_book(it, "BTCUSDT")[1] and newest_book(it, "ETHUSDT")[1])
        before = newest_book(it, "BTCUSDT")
        fault(it, "restart-book", symbol="BTCUSDT")
        wait_for(
            "rows with the new ids",
            lambda: newest_book(it, "BTCUSDT")[1] < before[1] and newest_book(it, "BTCUSDT")[0] > before[0] + 5_000,
        )

        resyncs = "cryptocdc_producer_book_resyncs_total"
        assert counted(it, f'{resyncs}{{reason="restart"}}') == 1
        assert counted(it, f'{resyncs}{{reason="start"}}') == 2
        result = finish(it)

    assert_equal(result)


def crossed_rows(it: Run, symbol: str) -> list[bool]:
    """Of each row of a symbol's book, in order, whether its best bid is above its best ask."""
    query = (
        "SELECT bid_prices[1]::numeric > ask_prices[1]::numeric"
        f" FROM {it.plan.names.schema}.order_book WHERE symbol = %s ORDER BY bucket_time"
    )
    return [crossed for (crossed,) in rows_of(it, query, symbol)]


def test_absurd_update_ids_and_a_crossed_book_are_confirmed_by_a_snapshot(start: Starter) -> None:
    """What the snapshot says as well is stored as reported."""
    streams = {"orderBook": {"source": "websocket", "depth": 20, "interval": "1s"}}
    resyncs = "cryptocdc_producer_book_resyncs_total"
    with start(feed_document("absurd", ["BTCUSDT", "ETHUSDT"], streams)) as it:
        wait_for("books of both", lambda: newest_book(it, "BTCUSDT")[1] and newest_book(it, "ETHUSDT")[1])
        before = newest_book(it, "BTCUSDT")
        fault(it, "jump-book", symbol="BTCUSDT", ids=10**12)
        fault(it, "cross-book", symbol="ETHUSDT", seconds=8)
        wait_for(
            "rows with the new ids",
            lambda: newest_book(it, "BTCUSDT")[1] > before[1] + 10**12 and newest_book(it, "BTCUSDT")[0] > before[0],
        )
        wait_for(
            "crossed rows, and others after them",
            lambda: sorted(set(said := crossed_rows(it, "ETHUSDT"))) == [False, True] and not said[-1],
        )

        # The first update is not trusted; the second confirms it.
        assert counted(it, 'cryptocdc_producer_rejected_total{reason="wild-id"}') == 1
        assert counted(it, f'{resyncs}{{reason="far"}}') == 1
        assert counted(it, f'{resyncs}{{reason="crossed"}}') == 1
        assert counted(it, f'{resyncs}{{reason="start"}}') == 2
        result = finish(it)

    assert_equal(result)


Candle = tuple[bool, int, str, str]


def candles(it: Run, symbol: str) -> dict[int, Candle]:
    """By open time in ms: closed, close time in ms, close and volume as stored."""
    query = (
        "SELECT (extract(epoch FROM open_time) * 1000)::bigint, closed,"
        " (extract(epoch FROM close_time) * 1000)::bigint, close::text, volume::text"
        f" FROM {it.plan.names.schema}.klines WHERE symbol = %s"
    )
    return {int(at): (closed, int(end), close, volume) for at, closed, end, close, volume in rows_of(it, query, symbol)}


def closed_candles(it: Run, symbol: str) -> dict[int, Candle]:
    return {at: candle for at, candle in candles(it, symbol).items() if candle[0]}


def test_candles_that_are_revised_after_their_end_or_cut_short_are_stored_as_reported(start: Starter) -> None:
    streams = {"klines": {"source": "rest", "intervals": ["1s"], "period": "1s"}}
    with start(feed_document("revised", ["BTCUSDT"], streams), rate=5) as it:
        fault(it, "unsettled", symbol="BTCUSDT", seconds=5)
        wait_for("candles", lambda: rows_in_cassandra(it, "klines"))
        began = int(time.time()) * 1000
        cut = began + 3000
        fault(it, "cut-kline", symbol="BTCUSDT", interval="1s", open=cut, close=cut + 400)
        # What REST says within the five seconds after an end, as it is stored meanwhile.
        early: dict[int, Candle] = {}

        def revised() -> list[int]:
            now, stored = time.time() * 1000, candles(it, "BTCUSDT")
            for at, candle in stored.items():
                if at > began and at + 1000 < now < at + 4000:
                    early.setdefault(at, candle)
            return [at for at, first in early.items() if stored[at][0] and stored[at][1:] != first[1:]]

        wait_for("candles that were stored, revised and closed", lambda: len(revised()) >= 3, 90)
        assert not any(closed for closed, *_ in early.values())
        closed = wait_for(
            "candles with the one that was cut short",
            lambda: found if cut in (found := closed_candles(it, "BTCUSDT")) else {},
        )
        asked = {"symbol": "BTCUSDT", "interval": "1s", "startTime": min(closed), "limit": 1000}
        answer = requests.get(f"{it.applied.rest_url}/api/v3/klines", params=asked, timeout=10).json()  # type: ignore[arg-type]
        says = {row[0]: (True, row[6], row[4], row[5]) for row in answer}
        result = finish(it)

    assert closed == {at: says[at] for at in closed}
    assert closed[cut][1] == cut + 400
    assert_equal(result)


def test_a_backfill_fetches_past_a_refused_candle_and_says_so(
    start: Starter, command_environment: dict[str, str], tmp_path: Path
) -> None:
    document = feed_document("odd-row", ["BTCUSDT"], {"klines": {"source": "websocket", "intervals": ["1m"]}})
    file = tmp_path / "feed.yaml"
    file.write_text(json.dumps(document))
    end = int(time.time()) // 60 * 60 - 600
    arguments = ["backfill", "-f", file, "--symbol", "BTCUSDT", "--from", end - 1500 * 60, "--to", end]
    with start(document) as it:
        wait_for("candles", lambda: rows_in_cassandra(it, "klines"))
        fault(it, "malformed", path="klines", kind="wrong-decimal")
        odd = cryptocdc(command_environment, *arguments, "--json")
        fault(it, "short-page", path="klines", rows=7)
        again = cryptocdc(command_environment, *arguments)
        result = finish(it)

    assert odd.code == 1, odd
    assert (odd.json()["rows"], odd.json()["refused"]) == ({"klines 1m": 1499}, {"klines 1m": 1})
    assert "refused: '1.2.3' is not a decimal" in odd.err
    assert again.code == 0, again
    assert "1,500 klines 1m;" in again.out
    assert_equal(result)
