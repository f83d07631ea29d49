"""`cryptocdc trace`: its options, the frame of a row, the next row, and the end of a trail."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.catalogue.streams import BEST_QUOTES, KLINES, MARK_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.streams import BestQuotes, MarkPrices, Streams
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.rows.hops import Sent, Stored, Trail, Values, Written
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_local.trace.commands import chosen_stream, parsed_key
from cryptocdc_local.trace.follow import end_of, follow, next_row, nothing_arrived
from cryptocdc_local.trace.frames import Listener

FEED = feed(streams={"recentTrades": {}, "klines": {"intervals": ["1m", "1h"]}, "orderBook": {}})
NOW = time.time_ns() // 1_000_000
ROW: Values = {
    "symbol": "BTCUSDT", "trade_time": NOW, "trade_id": 7, "price": "1.50", "quantity": "2.0", "first_trade_id": 14,
    "last_trade_id": 15, "buyer_is_maker": True, "received_at": NOW + 1, "version": NOW * 1000,
}  # fmt: skip
KEY = {name: ROW[name] for name in RECENT_TRADES.key}
AUDIT = {"op": "c", "lsn": 5, "committed_at": NOW + 2, "produced_at": NOW + 3, "written_at": NOW + 4}


@pytest.mark.parametrize("name", ["klines", None, "recentTrades", "recent_trades", "order_book"])
def test_a_stream_is_chosen_by_name_or_table(name: str | None) -> None:
    assert chosen_stream(FEED, name).table in FEED.spec.streams.tables


def test_a_stream_that_is_not_captured_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadInput, match="'latestPrices' is not accepted; accepted: recentTrades, klines, orderBook"):
        chosen_stream(FEED, "latestPrices")


def test_a_key_is_read_by_the_catalogues_types() -> None:
    given = ["trade_time=2026-11-25T13:00:00.125Z", "trade_id=7"]
    found = parsed_key(RECENT_TRADES, "BTCUSDT", given, FEED)
    assert found == {"symbol": "BTCUSDT", "trade_time": 1_795_611_600_125, "trade_id": 7}
    for same in ("1795611600125", "2026-11-25T14:00:00.125+01:00"):
        assert parsed_key(RECENT_TRADES, "BTCUSDT", [f"trade_time={same}", "trade_id=7"], FEED) == found
    assert parsed_key(KLINES, "BTCUSDT", [], FEED) == {"symbol": "BTCUSDT", "interval": "1m"}
    assert parsed_key(KLINES, "BTCUSDT", ["interval=1h"], FEED)["interval"] == "1h"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["trade_id=7"], "--key trade_time: is missing; the key of recent_trades is trade_time, trade_id"),
        (["trade_id=x", "trade_time=5"], "--key trade_id: 'x' is not accepted; accepted: a whole number"),
        (["price=5"], "--key: 'price=5' is not accepted; accepted: trade_time=… and trade_id=…"),
        (["trade_time=noon", "trade_id=7"], "--key trade_time: 'noon' is not accepted; accepted: ISO 8601"),
        (["trade_time=1795611", "trade_id=7"], "--key trade_time: '1795611' is not accepted; accepted: ISO 8601"),
    ],
)
def test_an_invalid_key_is_refused_by_its_column(given: list[str], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed_key(RECENT_TRADES, "BTCUSDT", given, FEED)
    assert told in str(refused.value)


def heard(
    *events: dict[str, Any], streams: Streams = FEED.spec.streams, channel: str = "aggTrade", venue: str = "binance"
) -> Listener:
    """A listener that has received these events and receives no more."""
    made = object.__new__(Listener)
    made.channel, made.since_us, made.problem = f"btcusdt@{channel}", NOW * 1000, ""
    wrapped = ({"stream": made.channel, "data": event} if venue == "binance" else event for event in events)
    raws = [json.dumps(frame).encode() for frame in wrapped]
    made._closing, made._thread = threading.Event(), threading.Thread()
    made._decode = VENUES[venue].frames.decoder(streams)
    made._heard = deque(((NOW + at) * 1000, raw, made._events(raw)) for at, raw in enumerate(raws))
    return made


def agg_trade(**more: Any) -> dict[str, Any]:
    return {
        "e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": 7, "p": "1.50", "q": "2.0", "f": 14, "l": 15, "T": NOW,
        "m": True, "M": True,
    } | more  # fmt: skip


def test_the_frame_of_a_row_is_the_one_that_produces_it() -> None:
    frame = heard(agg_trade(a=6), agg_trade(), agg_trade(a=8)).frame_of(RECENT_TRADES, ROW)
    assert frame is not None
    assert json.loads(frame.text)["data"]["a"] == 7
    assert frame.values == {name: value for name, value in ROW.items() if name != "received_at"}
    assert frame.received_us == (NOW + 1) * 1000
    assert heard(agg_trade(a=6), {"e": "unknown"}).frame_of(RECENT_TRADES, ROW) is None


def test_a_quote_without_exchange_time_is_matched_to_its_frame_by_update_id() -> None:
    quote = {"u": 6, "s": "BTCUSDT", "b": "1.50", "B": "2.0", "a": "1.60", "A": "3.0"}
    listener = heard(quote | {"u": 5}, quote, streams=Streams(bestQuotes=BestQuotes()), channel="bookTicker")
    frame = listener.frame_of(BEST_QUOTES, {"symbol": "BTCUSDT", "update_id": 6, "event_time": NOW - 3})
    assert frame is not None
    assert json.loads(frame.text)["data"]["u"] == 6
    assert frame.values is not None
    assert "event_time" not in frame.values


def test_a_row_joined_from_several_channels_has_the_frame_that_completed_it() -> None:
    streams, swap = Streams(markPrices=MarkPrices()), "BTC-USDT-SWAP"

    def push(channel: str, subject: str, **data: str) -> dict[str, Any]:
        arg = {"channel": channel, "instId": subject}
        return {"arg": arg, "data": [{"instId": subject, "ts": str(NOW), **data}]}

    listener = heard(
        push("index-tickers", "BTC-USDT", idxPx="98"),
        push("funding-rate", swap, fundingRate="0.0001", fundingTime=str(NOW + 1)),
        push("mark-price", swap, markPx="100"),
        push("index-tickers", "BTC-USDT", idxPx="99"),
        push("mark-price", swap, markPx="101", ts=str(NOW + 1)),
        venue="okx", streams=streams, channel="mark-price",
    )  # fmt: skip
    row = {"symbol": swap, "event_time": NOW, "version": NOW * 1000}
    frame = listener.frame_of(MARK_PRICES, row)
    assert frame is not None
    assert json.loads(frame.text)["arg"]["channel"] == "mark-price"
    assert frame.values is not None
    assert (frame.values["mark_price"], frame.values["index_price"]) == ("100", "98")


def test_the_frame_of_a_book_is_its_last_update_without_values() -> None:
    depth = {"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 1, "u": 5, "b": [], "a": []}
    frame = heard(depth, depth | {"u": 6}).frame_of(ORDER_BOOK, {"last_update_id": 6})
    assert frame is not None
    assert json.loads(frame.text)["data"]["u"] == 6
    assert frame.values is None


class Places:
    """Rows that appear one after the other, the last one forever."""

    def __init__(self, stored: list[Values | None], written: list[Values | None], record: Sent | None = None) -> None:
        self.stream, self._stored, self._written, self.record = RECENT_TRADES, stored, written, record

        class Target:
            feed = FEED

        self.target = Target
        self.asked: list[int] = []

    def _next(self, rows: list[Values | None]) -> Values | None:
        return rows.pop(0) if len(rows) > 1 else rows[0]

    def stored(self, _: Values) -> Stored | None:
        row = self._next(self._stored)
        return None if row is None else Stored("f.recent_trades", row, 3)

    newest = stored

    def written(self, _: Values) -> Written | None:
        row = self._next(self._written)
        return None if row is None else Written("f.recent_trades", 0, row, row["version"], None, AUDIT)

    def sent(self, key: Values, from_ms: int, is_it: Any = None) -> Sent | None:
        self.asked.append(from_ms)
        return self.record

    def dropped(self, at_ms: int) -> bool:
        return False

    def describe_slot(self, symbol: str) -> str:
        return "slot f_slot is inactive"

    def describe_consumers(self, sent: Sent) -> str:
        return f"the consumers have not passed offset {sent.offset}"


RECORD = Sent("f.f.recent_trades", 1, 41, NOW + 3, 100, "c", 5, (NOW + 2) * 1000, ROW)
OLDER = ROW | {"version": ROW["version"] - 1, "price": "1.49"}


def soon() -> float:
    return time.monotonic() + 0.2


def followed(places: Places) -> tuple[Trail, str, str]:
    trail = follow(places, KEY, soon(), fresh=True)  # type: ignore[arg-type]
    end = end_of(places, trail)  # type: ignore[arg-type]
    return trail, end.at, end.reason


def test_a_row_is_waited_for_until_cassandra_has_the_same_version() -> None:
    places = Places([ROW], [None, OLDER, ROW], RECORD)
    trail, at, reason = followed(places)
    assert (at, reason) == ("cassandra", "")
    assert trail.equal
    assert trail.read_back_us is not None
    assert places.asked == [AUDIT["produced_at"]], "the audit has the time of its record"


@pytest.mark.parametrize(
    ("places", "at", "reason"),
    [
        (Places([ROW], [None], None), "postgres", "neither in Kafka nor in Cassandra: slot f_slot is inactive"),
        (Places([ROW], [None], RECORD), "kafka", "not in Cassandra: the consumers have not passed offset 41"),
        (Places([ROW], [OLDER], RECORD), "kafka", f"which still has version {OLDER['version']}"),
        (Places([ROW], [ROW | {"price": "1.5"}], RECORD), "cassandra", "price differ"),
        (Places([None], [ROW], RECORD), "cassandra", "PostgreSQL does not have it"),
        (Places([None], [None], None), "", "there is no such row"),
        (Places([None], [None], replace(RECORD, op="d", values=KEY)), "cassandra", ""),
    ],
    ids=["slot", "consumers", "older", "different", "extra", "nothing", "deleted"],
)
def test_a_trail_ends_at_the_first_hop_without_the_row(places: Places, at: str, reason: str) -> None:
    _, ended, told = followed(places)
    assert ended == at
    assert reason in told
    assert bool(told) == bool(reason)


def test_the_next_row_is_the_first_new_one_whose_frame_was_received() -> None:
    late = ROW | {"trade_id": 8, "version": ROW["version"] + 1000, "trade_time": NOW + 1}
    listener = heard(agg_trade(a=8, T=NOW + 1))
    found = next_row(Places([OLDER, ROW, late], [None]), {"symbol": "BTCUSDT"}, listener, soon())  # type: ignore[arg-type]
    assert found is not None
    assert found.values["trade_id"] == 8, "the frame of 7 had arrived before we listened"


def test_without_any_frames_the_next_row_is_any_new_row() -> None:
    alone, silent = heard(), heard()
    alone.problem = "no connection"
    silent.since_us = (NOW - 5_000) * 1000  # and the frame of a row since then would have come
    for listener in (alone, silent):
        found = next_row(Places([OLDER, ROW], [None]), {"symbol": "BTCUSDT"}, listener, soon())  # type: ignore[arg-type]
        assert found is not None
        assert found.values == ROW
        assert next_row(Places([ROW], [None]), {"symbol": "BTCUSDT"}, listener, soon()) is None  # type: ignore[arg-type]


def test_a_row_from_just_before_the_first_frame_is_not_chosen() -> None:
    assert next_row(Places([OLDER, ROW], [None]), {"symbol": "BTCUSDT"}, heard(), soon()) is None  # type: ignore[arg-type]


def test_when_no_row_arrives_the_silent_side_is_named() -> None:
    frames = nothing_arrived(RECENT_TRADES, heard(agg_trade()), 5)
    assert (frames.at, frames.reason.partition(",")[0]) == (
        "exchange",
        "1 frames of btcusdt@aggTrade arrived within 5 s",
    )
    silent = nothing_arrived(RECENT_TRADES, heard(), 5)
    assert "no frame from the exchange" in silent.reason
