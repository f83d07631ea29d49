"""A feed starts with some of the past, which passes through every server like what is captured."""

from __future__ import annotations

import time

import pytest

from cryptocdc_core.time import intervals
from tests.integration.conftest import Starter, feed_document
from tests.integration.runs import assert_equal, finish, rows_of, trade_ids
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform
HOUR_MS = 3_600_000
SYMBOLS = ["BTCUSDT", "ETHUSDT"]


def test_the_past_arrives_and_is_proven_equal_although_the_producer_is_killed_while_it_fetches_it(
    start: Starter,
) -> None:
    streams = {"klines": {"intervals": ["1m", "1s"]}, "recentTrades": {}}
    document = feed_document("past", SYMBOLS, streams, history={"klines": "4h", "recentTrades": "3m"})
    began = time.time_ns() // 1_000_000
    with start(document) as it:
        names = it.plan.names
        one = f"SELECT count(*) FROM {names.schema}.klines WHERE symbol = %s AND interval = %s AND closed"
        gaps = f"SELECT symbol, interval, state FROM {names.schema}.gaps WHERE reason = 'history'"
        wait_for("a part of the past", lambda: rows_of(it, one, "BTCUSDT", "1s")[0][0] > 1000)
        it.programs.kill(it.programs.names("producer")[0])
        assert any(state == "open" for _, __, state in rows_of(it, gaps)), "the past was there before the kill"
        wait_for("the whole past", lambda: all(state == "filled" for _, __, state in rows_of(it, gaps)))
        result = finish(it)
        candles = {
            (symbol, interval): [
                row[0]
                for row in rows_of(
                    it,
                    f"SELECT extract(epoch FROM open_time)::bigint * 1000 FROM {names.schema}.klines"
                    " WHERE symbol = %s AND interval = %s AND closed ORDER BY open_time",
                    symbol,
                    interval,
                )
            ]
            for symbol in SYMBOLS
            for interval in ("1m", "1s")
        }
        started = {(symbol, interval) for symbol, interval, _ in rows_of(it, gaps)}
        ids = trade_ids(it, "BTCUSDT")
        first = rows_of(it, f"SELECT extract(epoch FROM min(trade_time)) * 1000 FROM {names.schema}.recent_trades")

    assert_equal(result)
    assert started == {*candles, *((symbol, "") for symbol in SYMBOLS)}, "a restart must not start another past"
    for (_, interval), opened in candles.items():
        length = intervals.LENGTH_MS[interval]
        assert opened == list(range(opened[0], opened[-1] + 1, length))
        assert opened[0] <= began - 4 * HOUR_MS + 2 * 60_000
    assert ids == list(range(ids[0], ids[-1] + 1))
    assert int(first[0][0]) < began - 60_000
