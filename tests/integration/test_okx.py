"""OKX through every server: its dialect of the simulator with faults, and recordings of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration import recorded
from tests.integration.conftest import ALL_STREAMS, PERPETUAL_STREAMS, PERPETUAL_TABLES, Starter, feed_document
from tests.integration.runs import assert_equal, assert_no_gap, fault, finish, rows_in_cassandra, rows_of, trade_ids
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

STREAMS = {**ALL_STREAMS, "recentTrades": {"source": "websocket", "kind": "trade"}}
SPOT, SWAP, UNLISTED = "BTC-USDT", "ETH-USDT-SWAP", "NEW-USDT"


def test_faults_and_an_unlisted_market_lose_no_rows_of_spot_or_swap(start: Starter) -> None:
    """The venue refuses the subscriptions to an unlisted market, by name; when it is listed they are made again."""
    with start(feed_document("okx-faults", [SPOT, SWAP, UNLISTED], STREAMS, exchange="okx")) as it:
        wait_for("trades of both", lambda: all(len(trade_ids(it, symbol)) > 5 for symbol in (SPOT, SWAP)), 90)
        for symbol in (SPOT, SWAP):
            fault(it, "drop-trades", symbol=symbol, count=5)
            fault(it, "depth-gap", symbol=symbol, count=2)
        wait_for("the gaps filled", lambda: it.figures().gap_rows_filled > 0 and it.figures().gaps_open == 0, 90)
        fault(it, "list", base="NEW", quote="USDT", unseen=3)
        fault(it, "cut")
        fault(it, "reorder", count=10)
        fault(it, "duplicate", count=10)
        fault(it, "restart-book", symbol=SWAP)
        before = rows_in_cassandra(it, "order_book")
        wait_for("books go on", lambda: rows_in_cassandra(it, "order_book") > before + 10, 90)
        wait_for("the new market's first trade", lambda: trade_ids(it, UNLISTED)[:1] == [0], 90)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 90)
        result = finish(it)
        assert_no_gap(it, (SPOT, SWAP, UNLISTED))

    assert_equal(result)
    assert min(result["counts"].values()) > 0


@pytest.mark.soak  # a minute
def test_mark_prices_open_interest_and_liquidations_are_complete_and_equal(start: Starter) -> None:
    """A spot market beside it has none of them; a killed producer and a cut leave no row different."""
    streams = {**PERPETUAL_STREAMS, "latestPrices": {}}
    with start(feed_document("okx-marks", [SPOT, SWAP], streams, exchange="okx")) as it:
        wait_for("rows of every stream", lambda: all(rows_in_cassandra(it, t) for t in PERPETUAL_TABLES), 180)
        it.programs.kill(it.programs.names("producer")[0])
        fault(it, "cut")
        before = rows_in_cassandra(it, "mark_prices")
        wait_for("mark prices of the next producer", lambda: rows_in_cassandra(it, "mark_prices") > before + 4, 90)
        result = finish(it)
        query = f"SELECT event_time, index_price, next_funding_time FROM {it.plan.names.schema}.mark_prices"
        marks = rows_of(it, query)
        symbols = {
            table: {symbol for (symbol,) in rows_of(it, f"SELECT symbol FROM {it.plan.names.schema}.{table}")}
            for table in (*PERPETUAL_TABLES, "latest_prices")
        }

    assert_equal(result)
    assert symbols == {**{table: {SWAP} for table in PERPETUAL_TABLES}, "latest_prices": {SPOT, SWAP}}
    assert all(index > 0 and (ends is None or ends > at) for at, index, ends in marks)


def frames(folder: Path, channel: str) -> list[dict[str, Any]]:
    lines = (folder / "okx-websocket.capture").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line.split(": ", 1)[1]) for line in lines]
    return [frame for frame in found if frame["arg"]["channel"] == channel]


def expected_books(folder: Path) -> dict[tuple[str, int], recorded.Book]:
    """By market and second: the best levels after the last update that the venue dated within it."""
    sides: dict[str, dict[str, str]] = {}
    books: dict[tuple[str, int], recorded.Book] = {}
    for frame in frames(folder, "books"):
        (data,) = frame["data"]
        for side in ("bids", "asks"):
            if frame["action"] == "snapshot":
                sides[side] = {}
            for price, size, *_ in data[side]:
                sides[side][price] = size
                if size == "0":
                    del sides[side][price]
        if frame["action"] == "update":
            books[frame["arg"]["instId"], int(data["ts"]) // 1000 * 1000] = (
                tuple(sorted(sides["bids"].items(), key=lambda level: -Decimal(level[0]))[:20]),
                tuple(sorted(sides["asks"].items(), key=lambda level: Decimal(level[0]))[:20]),
            )
    return books


def test_a_capture_is_stored_exactly_to_the_digit(start: Starter, okx_capture: Path) -> None:
    streams = {name: ALL_STREAMS[name] for name in ("recentTrades", "crypto24hStats", "latestPrices", "orderBook")}
    keep = dict.fromkeys(("postgres", "kafka", "cassandra"), "keep")  # the recording is years old
    document = feed_document("okx-recorded", [SPOT], streams, exchange="okx", retention=keep)
    with start(document, source=f"capture:{okx_capture}") as it:
        wait_for("the end of the capture", it.simulator.capture_finished, 120)  # type: ignore[union-attr]
        result = finish(it)
        trades = recorded.stored(it, "recent_trades", "trade_id, price, quantity")
        prices = recorded.stored(it, "latest_prices", "price")
        books = recorded.stored_books(it)

    assert_equal(result)
    wanted = [data for frame in frames(okx_capture, "trades") for data in frame["data"]]
    assert sorted(map(tuple, trades)) == sorted((int(d["tradeId"]), Decimal(d["px"]), Decimal(d["sz"])) for d in wanted)
    assert len(prices) == len({frame["data"][0]["ts"] for frame in frames(okx_capture, "tickers")})
    assert books == expected_books(okx_capture)
