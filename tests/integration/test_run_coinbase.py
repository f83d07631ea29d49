"""Coinbase Exchange through every server: its dialect of the simulator with faults, and recordings of it."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration import recorded
from tests.integration.conftest import ALL_STREAMS, Starter, feed_document
from tests.integration.runs import (
    TABLES,
    assert_equal,
    assert_no_gap,
    fault,
    finish,
    rows_in_cassandra,
    rows_of,
    trade_ids,
)
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

STREAMS: dict[str, Any] = {
    **ALL_STREAMS,
    "recentTrades": {"source": "websocket", "kind": "trade"},
    "klines": {"source": "rest", "intervals": ["1m"], "period": "5s"},
}
SYMBOLS = ["BTC-USD", "ETH-USD"]
QUIET, UNLISTED = "TRX-USD", "NEW-USD"
"""Minutes may pass without a trade of the first one."""


def test_dropped_and_repeated_matches_end_complete_and_equal(start: Starter) -> None:
    """Also those of a market that is refused by name, since it is listed later."""
    document = feed_document("coinbase-faults", [*SYMBOLS, QUIET, UNLISTED], STREAMS, exchange="coinbase")
    with start(document) as it:
        wait_for("rows of every stream in Cassandra", lambda: all(rows_in_cassandra(it, t) for t in TABLES), 120)
        fault(it, "drop-trades", symbol="BTC-USD", count=40)
        fault(it, "duplicate", count=100)
        wait_for("the gap filled", lambda: it.figures().gap_rows_filled > 0 and it.figures().gaps_open == 0, 90)
        fault(it, "list", base="NEW", quote="USD", unseen=3)
        fault(it, "cut")
        before = rows_in_cassandra(it, "order_book")
        wait_for("more order books", lambda: rows_in_cassandra(it, "order_book") > before + 4, 90)
        wait_for("the new market's first trade", lambda: trade_ids(it, UNLISTED)[:1] in ([0], [1]), 120)
        wait_for("no gap open", lambda: it.figures().gaps_open == 0, 90)
        result = finish(it)
        assert_no_gap(it, (*SYMBOLS, UNLISTED))
        gaps = rows_of(it, f"SELECT DISTINCT table_name FROM {it.plan.names.schema}.gaps")
        assert gaps == [("recent_trades",)], "an interval without a trade is no gap"

    assert_equal(result)
    assert set(result["counts"]) == TABLES


def frames(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "coinbase-websocket.capture").read_text(encoding="utf-8").splitlines()
    return [json.loads(body) for _, found, body in (line.partition(": ") for line in lines) if body.startswith("{")]


def expected_books(folder: Path) -> dict[tuple[str, int], recorded.Book]:
    """By product and second: the best levels after the last update that the exchange dated within it."""
    sides: dict[tuple[str, str], dict[str, str]] = {}
    books: dict[tuple[str, int], recorded.Book] = {}
    for frame in frames(folder):
        product = frame["product_id"]
        if frame["type"] == "snapshot":
            sides[product, "buy"], sides[product, "sell"] = dict(frame["bids"]), dict(frame["asks"])
        if frame["type"] == "l2update":
            for side, price, size in frame["changes"]:
                sides[product, side][price] = size
            bids, asks = (
                [level for level in sides[product, side].items() if Decimal(level[1])] for side in ("buy", "sell")
            )
            second = round(datetime.fromisoformat(frame["time"]).replace(microsecond=0).timestamp() * 1000)
            books[product, second] = (
                tuple(sorted(bids, key=lambda level: -Decimal(level[0]))[: recorded.DEPTH]),
                tuple(sorted(asks, key=lambda level: Decimal(level[0]))[: recorded.DEPTH]),
            )
    return books


def test_a_recording_is_stored_exactly_to_the_digit(start: Starter, coinbase_capture: Path) -> None:
    names = sorted({frame["product_id"] for frame in frames(coinbase_capture)})
    streams = {name: settings for name, settings in STREAMS.items() if name != "klines"}
    keep = dict.fromkeys(("postgres", "kafka", "cassandra"), "keep")  # the recording is years old
    document = feed_document("coinbase-recorded", names, streams, exchange="coinbase", retention=keep)
    with start(document, source=f"capture:{coinbase_capture}") as it:
        wait_for("the end of the capture", it.simulator.capture_finished, 120)  # type: ignore[union-attr]
        result = finish(it)
        trades = recorded.stored(it, "recent_trades", "symbol, trade_id, price, quantity")
        books = recorded.stored_books(it)

    assert_equal(result)
    matches = [frame for frame in frames(coinbase_capture) if frame["type"] in ("match", "last_match")]
    assert {(symbol, trade_id, format(price, "f"), format(size, "f")) for symbol, trade_id, price, size in trades} == {
        (frame["product_id"], frame["trade_id"], frame["price"], frame["size"]) for frame in matches
    }
    assert books == expected_books(coinbase_capture)
