"""The streams of USD-M futures, compared with the documentation, the recordings and REST."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptocdc_simulator.app import Settings, exchanges
from cryptocdc_simulator.dialects.binance_usdm.streams import is_market, is_public
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Dropped, Faults, Span
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, FakeClient, Listener, shape
from ..conftest import NOON, ManualClock


def test_events_have_the_documented_fields(listener: Listener) -> None:
    fields = {
        "aggTrade": "eEasqpflTm",
        "depth@100ms": ["e", "E", "T", "s", "U", "u", "pu", "b", "a"],
        "kline_1m": "eEsk",
        "ticker": "eEspPwcQohlvqOCFLn",
        "miniTicker": "eEscohlvq",
        "bookTicker": "eusbBaATE",
        "markPrice@1s": "eEspiPrT",
        "forceOrder": "eEo",
    }
    for channel in fields:
        listener.streams.open(f"btcusdt@{channel}")
    events = listener.run(20_000)
    assert {channel: set(events[f"btcusdt@{channel}"][0]) for channel in fields} == {
        channel: set(names) for channel, names in fields.items()
    }
    assert set(events["btcusdt@forceOrder"][0]["o"]) == {*"sSofqplzXT", "ap"}


def test_streamed_trades_and_closed_klines_are_those_of_rest(listener: Listener, ask: Ask) -> None:
    for channel in ("aggTrade", "kline_1m"):
        listener.streams.open(f"btcusdt@{channel}")
    events = listener.run(61_000, stride=100)
    trades = events["btcusdt@aggTrade"]
    rows = ask(f"aggTrades?symbol=BTCUSDT&fromId={trades[0]['a']}&limit=1000")[1]
    assert [{name: event[name] for name in rows[0]} for event in trades[:1000]] == rows
    assert all(b["a"] == a["a"] + 1 and b["f"] == a["l"] + 1 for a, b in pairwise(trades))
    closed = [event["k"] for event in events["btcusdt@kline_1m"] if event["k"]["x"]]
    row = ask(f"klines?symbol=BTCUSDT&interval=1m&startTime={NOON}&limit=1")[1][0]
    assert [[k[name] for name in "tohlcvTqnVQB"] for k in closed] == [row]


def test_a_local_book_kept_by_the_documented_procedure_equals_rest(listener: Listener, ask: Ask) -> None:
    stream = "btcusdt@depth@100ms"
    listener.streams.open(stream)
    buffered = listener.run(2_000)[stream]
    snapshot = ask("depth?symbol=BTCUSDT&limit=1000")[1]
    sides = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    last = snapshot["lastUpdateId"]
    kept = [event for event in buffered + listener.run(3_000)[stream] if event["u"] >= last]
    assert kept[0]["U"] <= last <= kept[0]["u"]
    assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(kept))
    for event in kept:
        for side, levels in sides.items():
            for price, quantity in event[side]:
                levels[price] = quantity
                if not float(quantity):
                    del levels[price]
    after = ask("depth?symbol=BTCUSDT&limit=1000")[1]
    assert sides == {"b": dict(after["bids"]), "a": dict(after["asks"])}


def test_a_lost_update_breaks_the_chain(listener: Listener, faults: Faults) -> None:
    stream = "btcusdt@depth@100ms"
    listener.streams.open(stream)
    faults.book_gaps.append(("BTCUSDT", Span(step_at(NOON) + 5, step_at(NOON) + 5)))
    events = listener.run(2_000)[stream]
    assert sum(later["pu"] != earlier["u"] for earlier, later in pairwise(events)) == 1


def test_dropped_trades_are_only_in_rest(listener: Listener, futures: Market, faults: Faults, ask: Ask) -> None:
    listing = futures.listings["BTCUSDT"]
    first = listing.next_id()
    faults.dropped.append(Dropped("BTCUSDT", Span(first + 1, first + 3), Span(0, 0)))
    listener.streams.open("btcusdt@aggTrade")
    ids = [event["a"] for event in listener.run(5_000)["btcusdt@aggTrade"]]
    assert ids[:2] == [first, first + 4]
    assert [row["a"] for row in ask(f"aggTrades?symbol=BTCUSDT&fromId={first}&limit=5")[1]] == list(
        range(first, first + 5)
    )


def test_mark_prices_come_every_second_and_agree_with_rest(listener: Listener, ask: Ask) -> None:
    listener.streams.open("btcusdt@markPrice@1s")
    events = listener.run(5_000)["btcusdt@markPrice@1s"]
    assert [event["E"] - NOON for event in events[1:]] == [1_000, 2_000, 3_000, 4_000, 5_000]
    row = ask("premiumIndex?symbol=BTCUSDT")[1]
    assert [events[-1][name] for name in "pirT"] == [
        row[name] for name in ("markPrice", "indexPrice", "lastFundingRate", "nextFundingTime")
    ]


def test_liquidations_are_trades_at_most_one_per_second(listener: Listener) -> None:
    for channel in ("aggTrade", "forceOrder"):
        listener.streams.open(f"btcusdt@{channel}")
    events = listener.run(60_000, stride=100)
    orders = [event["o"] for event in events["btcusdt@forceOrder"]]
    filled = {(trade["p"], trade["q"], trade["T"]) for trade in events["btcusdt@aggTrade"]}
    assert len(orders) > 3
    assert {(order["ap"], order["z"], order["T"]) for order in orders} <= filled
    assert len({event["E"] // 1000 for event in events["btcusdt@forceOrder"]}) == len(orders)


def test_each_path_serves_only_streams_of_its_kind(dialect: Dialect) -> None:
    assert is_public("btcusdt@depth@100ms")
    assert is_public("btcusdt@bookTicker")
    assert is_market("btcusdt@aggTrade")
    assert is_market("btcusdt@markPrice@1s")
    command = '{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}'
    for path, expected in (
        ("/public/ws", ["btcusdt@depth"]),
        ("/market/stream", ["btcusdt@aggTrade"]),
        ("/ws", ["btcusdt@aggTrade", "btcusdt@depth"]),
    ):
        client = FakeClient()
        assert client.takes(dialect.sessions[path].replies(client, command)) == [{"result": None, "id": 1}]
        assert list(client.streams) == expected


def test_frames_have_the_shape_of_recorded_ones(
    listener: Listener, ask: Ask, clock: ManualClock, recordings: Path
) -> None:
    recorded: dict[str, Any] = defaultdict(list)
    for line in (recordings / "binance-futures-websocket.capture").read_text().splitlines():
        if line[:1].isdigit():
            frame = json.loads(line.split(": ", 1)[1])
            recorded[frame["stream"].partition("@")[2]].append(frame["data"])
    for channel in recorded:
        listener.streams.open(f"sushiusdt@{channel}")
        listener.streams.open(f"dogeusdt@{channel}")
    events = listener.run(10_000)
    for channel, frames in recorded.items():
        ours = [event for event in events[f"dogeusdt@{channel}"] if all(event.get(side, 1) for side in "ba")]
        theirs = [frame for frame in frames if all(frame.get(side, 1) for side in "ba")]
        assert shape(ours[0]) == shape(theirs[0])
        assert list(ours[0]) == list(theirs[0])
    answers = (recordings / "binance-futures-rest.capture").read_text().splitlines()
    depth = next(json.loads(line.split(": ", 1)[1]) for line in answers if "/depth" in line)
    assert shape(ask("depth?symbol=BTCUSDT&limit=1000")[1]) == shape(depth)
    info = json.loads(answers[0].split(": ", 1)[1])["symbols"][0]
    fields = set(ask("exchangeInfo")[1]["symbols"][0])
    assert set(info) <= fields


def test_the_whole_recording_is_replayed(recordings: Path, tmp_path: Path) -> None:
    for file in recordings.glob("binance-futures-*"):
        (tmp_path / file.name).symlink_to(file)
    (exchange,) = exchanges(Settings(capture=tmp_path, speed=1e9))
    source = exchange.dialect.source
    for stream in ("sushiusdt@depth@100ms", "akrousdt@aggTrade"):
        source.open(stream)
    assert exchange.dialect.name == "binance-usdm"
    replayed = [out.stream for out in source.due()]
    recorded = (tmp_path / "binance-futures-websocket.capture").read_text()
    assert len(replayed) == sum(recorded.count(f'{{"stream":"{name}"') for name in set(replayed))
