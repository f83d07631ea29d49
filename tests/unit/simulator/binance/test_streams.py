"""The streams, compared with REST."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest

from cryptocdc_simulator import malformed
from cryptocdc_simulator.dialects.binance import malformed as binance_malformed
from cryptocdc_simulator.dialects.binance import of_market, payloads
from cryptocdc_simulator.faults import Dropped, Faults, Span
from cryptocdc_simulator.market.book import DEPTH, step_at
from cryptocdc_simulator.market.market import Market

from ..clients import Listener
from ..conftest import NOON, ManualClock


class SpotListener(Listener):
    def __init__(self, market: Market, clock: ManualClock) -> None:
        self.faults = Faults(clock)
        super().__init__(of_market(market, self.faults), clock)


@pytest.fixture
def listener(market: Market, clock: ManualClock) -> SpotListener:
    return SpotListener(market, clock)


def test_streamed_trades_are_those_of_rest_each_once(listener: SpotListener, market: Market) -> None:
    listing = market.listings["BTCUSDT"]
    first, first_raw = listing.next_id(), listing.next_raw_id()
    listener.streams.open("btcusdt@aggTrade")
    listener.streams.open("btcusdt@trade")
    events = listener.run(20_000)
    rows = [payloads.aggregate_row(listing.instrument, t) for t in listing.tape.aggregates(first, listing.next_id())]
    said = [{name: event[name] for name in rows[0]} for event in events["btcusdt@aggTrade"]]
    assert said == rows
    assert [event["t"] for event in events["btcusdt@trade"]] == list(range(first_raw, listing.next_raw_id()))
    assert all(0 <= event["E"] - event["T"] <= 20 for event in events["btcusdt@trade"])


@pytest.mark.parametrize("interval", ["1s", "1m", "3m"])
def test_streamed_closed_klines_are_those_of_rest_each_once(
    listener: SpotListener, market: Market, interval: str
) -> None:
    listing = market.listings["NKNUSDT"]
    stream = f"nknusdt@kline_{interval}"
    listener.streams.open(stream)
    events = listener.run(400_000, stride=250)[stream]
    closed = [event["k"] for event in events if event["k"]["x"]]
    length = {"1s": 1_000, "1m": 60_000, "3m": 180_000}[interval]
    assert [k["t"] for k in closed] == list(range(NOON, NOON + 400_000 // length * length, length))
    for k in closed:
        row = payloads.kline_row(listing.instrument, k["t"], k["T"], listing.bars.kline(k["t"], k["T"] + 1))
        assert row == [k[name] for name in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")]
    if interval != "1s":
        assert all(b["E"] - a["E"] >= 1_000 for a, b in zip(events, events[2:], strict=False))


def test_a_stall_loses_no_closed_kline(listener: SpotListener) -> None:
    listener.streams.open("btcusdt@kline_1m")
    events = listener.run(300_000, stride=150_000)["btcusdt@kline_1m"]
    assert [e["k"]["t"] for e in events if e["k"]["x"]] == [NOON + 60_000 * n for n in range(5)]


@pytest.mark.parametrize("stream", ["btcusdt@depth", "btcusdt@depth@100ms"])
def test_a_local_book_kept_by_the_documented_procedure_equals_rest(
    listener: SpotListener, market: Market, stream: str
) -> None:
    listing = market.listings["BTCUSDT"]
    listener.streams.open(stream)
    buffered = listener.run(3_000)[stream]
    step = step_at(listing.now())
    bids, asks = listing.book.snapshot(step, DEPTH)
    snapshot = payloads.depth(listing.instrument, listing.book.update_id(step), bids, asks)
    sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    last = snapshot["lastUpdateId"]
    kept = [event for event in buffered + listener.run(5_000)[stream] if event["u"] > last]
    assert kept[0]["U"] <= last + 1 <= kept[0]["u"]
    previous = kept[0]["U"] - 1
    for event in kept:
        assert event["U"] == previous + 1
        previous = event["u"]
        for side, levels in sides.items():
            for price, quantity in event[side]:
                levels.pop(price, None)
                if float(quantity):
                    levels[price] = quantity
    bids, asks = listing.book.snapshot(step_at(listing.now()), DEPTH)
    assert sides["b"] == dict(payloads.levels(listing.instrument, bids))
    assert sides["a"] == dict(payloads.levels(listing.instrument, asks))


def test_partial_depth_has_neither_symbol_nor_time(listener: SpotListener) -> None:
    for stream in ("btcusdt@depth5", "btcusdt@depth20@100ms"):
        listener.streams.open(stream)
    events = listener.run(2_000)
    assert set(events["btcusdt@depth5"][0]) == {"lastUpdateId", "bids", "asks"}
    assert (len(events["btcusdt@depth5"]), len(events["btcusdt@depth20@100ms"])) == (3, 21)
    assert [len(events[s][0]["bids"]) for s in ("btcusdt@depth5", "btcusdt@depth20@100ms")] == [5, 20]


def test_tickers_come_every_second_and_the_book_ticker_has_no_time(clock: ManualClock) -> None:
    listener = SpotListener(Market(7, 3, 1.0, clock), clock)
    for stream in ("btcusdt@ticker", "btcusdt@miniTicker", "btcusdt@bookTicker", "!miniTicker@arr"):
        listener.streams.open(stream)
    events = listener.run(10_000)
    assert 9 <= len(events["btcusdt@ticker"]) <= 11
    assert {event["s"] for event in events["!miniTicker@arr"][0]} == {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
    assert events["btcusdt@bookTicker"]
    assert set(events["btcusdt@bookTicker"][0]) == {"u", "s", "b", "B", "a", "A"}
    last = events["btcusdt@ticker"][-1]
    assert float(last["b"]) < float(last["c"]) < float(last["a"])


@pytest.mark.parametrize(
    "stream", ["BTCUSDT@trade", "nosuch@trade", "btcusdt@nosuch", "btcusdt@kline_7m", "!ticker@arr"]
)
def test_unknown_streams_stay_silent(listener: SpotListener, stream: str) -> None:
    asyncio.run(listener.streams.prepare(stream))
    listener.streams.open(stream)
    assert listener.run(3_000) == {}


def test_dropped_trades_are_missing_only_from_the_streams(listener: SpotListener, market: Market) -> None:
    listing = market.listings["BTCUSDT"]
    first = listing.next_id()
    raws = Span(listing.tape.first_raw_id_of(first + 3), listing.tape.first_raw_id_of(first + 8) - 1)
    listener.faults.dropped.append(Dropped("BTCUSDT", Span(first + 3, first + 7), raws))
    for stream in ("btcusdt@aggTrade", "btcusdt@trade", "btcusdt@kline_1m"):
        listener.streams.open(stream)
    events = listener.run(60_000)
    ids = {event["a"] for event in events["btcusdt@aggTrade"]}
    assert set(range(first, listing.next_id())) - ids == set(range(first + 3, first + 8))
    raw_ids = {event["t"] for event in events["btcusdt@trade"]}
    missing = set(range(min(raw_ids), max(raw_ids) + 1)) - raw_ids
    assert missing == set(range(raws.first, raws.last + 1))
    assert listener.faults.counts == {"dropped_aggregates": 5, "dropped_trades": len(missing)}


def test_a_gap_in_the_book_skips_update_ids(listener: SpotListener) -> None:
    listener.streams.open("btcusdt@depth@100ms")
    step = step_at(NOON)
    listener.faults.book_gaps.append(("BTCUSDT", Span(step + 5, step + 5)))
    events = listener.run(1_000)["btcusdt@depth@100ms"]
    jumps = [b["U"] - a["u"] for a, b in pairwise(events)]
    assert sorted(jumps)[-2:] == [1, 9]
    assert listener.faults.counts["dropped_depth_updates"] == 1


def test_the_streams_of_a_delisted_symbol_end(listener: SpotListener, market: Market) -> None:
    for symbol in ("btcusdt", "ethusdt"):
        for channel in ("aggTrade", "kline_1m", "depth@100ms", "ticker"):
            listener.streams.open(f"{symbol}@{channel}")
    listener.run(1_000)
    market.delist("BTCUSDT")
    assert {stream.split("@")[0] for stream in listener.run(65_000, stride=100)} == {"ethusdt"}


def test_a_resumed_market_continues_where_it_would_have_been(listener: SpotListener, market: Market) -> None:
    listener.streams.open("btcusdt@aggTrade")
    listener.run(1_000)
    market.delist("BTCUSDT")
    assert listener.run(20_000, stride=100) == {}
    market.resume("BTCUSDT")
    listener.streams.open("btcusdt@aggTrade")
    events = listener.run(10_000, stride=100)["btcusdt@aggTrade"]
    assert min(event["T"] for event in events) >= NOON + 20_000


def test_a_skewed_clock_moves_event_times_only(listener: SpotListener) -> None:
    listener.faults.skew_ms = 3_600_000
    listener.streams.open("btcusdt@aggTrade")
    events = listener.run(2_000)["btcusdt@aggTrade"]
    assert all(event["E"] - event["T"] >= 3_600_000 and event["T"] <= NOON + 2_000 for event in events)


def test_malformed_frames_are_malformed_as_requested(listener: SpotListener) -> None:
    listener.streams.open("btcusdt@aggTrade")
    sound = listener.run(2_000)["btcusdt@aggTrade"][0]
    bad = {kind: make(json.dumps(sound)) for kind, make in {**malformed.KINDS, **binance_malformed.KINDS}.items()}
    with pytest.raises(ValueError):
        json.loads(bad["invalid-json"])
    assert json.loads(bad["unknown-event"])["e"] not in ("aggTrade", "trade", "kline")
    assert json.loads(bad["wrong-decimal"])["p"] == "1.2.3"
    assert len(bad["oversize"]) > 5_000_000
    assert json.loads(bad["error-body"])["code"] < 0
    assert json.loads(bad["future"])["T"] == sound["T"] + 3_600_000


@pytest.mark.parametrize("channel", ["depth", "depth@100ms"])
def test_update_ids_of_a_book_restart_on_request(listener: SpotListener, market: Market, channel: str) -> None:
    stream = f"btcusdt@{channel}"
    listener.streams.open(stream)
    listener.run(2_050)
    market.listings["BTCUSDT"].book.restart_ids(step_at(NOON + 2_050))
    events = listener.run(3_000)[stream]
    begun = [event for event in events if event["u"] < 1_000]

    assert begun[0]["U"] == 1
    assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(begun))
    assert len(begun) >= 2


@pytest.mark.parametrize("channel", ["depth", "depth@100ms"])
def test_update_ids_of_a_book_jump_far_ahead_on_request(listener: SpotListener, market: Market, channel: str) -> None:
    stream = f"btcusdt@{channel}"
    listener.streams.open(stream)
    before = listener.run(2_050)[stream][-1]
    market.listings["BTCUSDT"].book.jump_ids(step_at(NOON + 2_050), 10**12)
    after = listener.run(3_000)[stream]

    assert after[0]["U"] > before["u"] + 10**12
    assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(after))
    assert len(after) >= 2


def test_ids_of_trades_restart_in_a_stream_that_is_opened_again(listener: SpotListener, market: Market) -> None:
    listener.streams.open("btcusdt@aggTrade")
    listener.run(2_000)
    market.listings["BTCUSDT"].restart_trade_ids()
    listener.streams.open("btcusdt@aggTrade")

    events = listener.run(3_000)["btcusdt@aggTrade"]

    assert [event["a"] for event in events] == list(range(len(events)))
    assert len(events) > 2


def test_a_kline_that_is_cut_short_is_closed_early_in_the_stream_too(listener: SpotListener) -> None:
    listener.faults.cut_klines["BTCUSDT", "1m", NOON] = NOON + 14_838
    listener.streams.open("btcusdt@kline_1m")

    closed = [e for e in listener.run(61_000, stride=500)["btcusdt@kline_1m"] if e["k"]["x"]]

    assert [(event["k"]["t"], event["k"]["T"]) for event in closed] == [(NOON, NOON + 14_838)]


def test_stream_names_are_in_lower_case_in_every_script(listener: SpotListener) -> None:
    asyncio.run(listener.streams.prepare("币安人生usdt@miniTicker"))
    listener.streams.open("币安人生usdt@miniTicker")
    listener.streams.open("币安人生USDT@miniTicker")
    events = listener.run(5_000)
    assert {event["s"] for event in events["币安人生usdt@miniTicker"]} == {"币安人生USDT"}
    assert events.keys() == {"币安人生usdt@miniTicker"}
