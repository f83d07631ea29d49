"""The channels of OKX, compared with the documentation, the recordings and REST."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from cryptocdc_simulator.app import Settings, exchanges
from cryptocdc_simulator.dialects.okx.instruments import new_instrument
from cryptocdc_simulator.dialects.okx.payloads import checksum
from cryptocdc_simulator.dialects.okx.streams import named
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Dropped, Faults, Span
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, FakeClient, Listener, shape
from ..conftest import NOON, ManualClock

Sides = dict[str, dict[str, str]]


def of(channel: str, instrument: str = "BTC-USDT") -> str:
    return named({"channel": channel, "instId": instrument})


def applied(sides: Sides, frame: Any) -> None:
    for side, levels in sides.items():
        for price, size, _, orders in frame["data"][0][side]:
            assert (size == "0") == (orders == "0")
            if size == "0":
                del levels[price]
            else:
                levels[price] = size


def crc_of(sides: Sides) -> int:
    """The documented checksum, from a client's own book: 25 levels, bid and ask in turn, as a signed integer."""
    bids = sorted(sides["bids"].items(), key=lambda level: -float(level[0]))[:25]
    asks = sorted(sides["asks"].items(), key=lambda level: float(level[0]))[:25]
    text = ":".join(
        f"{price}:{size}"
        for index in range(25)
        for side in (bids, asks)
        if index < len(side)
        for price, size in [side[index]]
    )
    return int.from_bytes(crc32(text.encode()).to_bytes(4, "big"), "big", signed=True)


def followed(listener: Listener, milliseconds: int, instrument: str = "BTC-USDT") -> tuple[list[Any], Sides]:
    """Frames of a new subscriber, the first a snapshot, and the book made of them."""
    stream = of("books", instrument)
    listener.streams.open(stream)
    frames = listener.welcome(stream) + listener.run(milliseconds)[stream]
    sides: Sides = {"bids": {}, "asks": {}}
    for frame in frames:
        applied(sides, frame)
    return frames, sides


@pytest.mark.parametrize("instrument", ["BTC-USDT", "ETH-USDT-SWAP"])
def test_a_client_s_book_equals_that_of_rest(listener: Listener, ask: Ask, instrument: str) -> None:
    frames, sides = followed(listener, 5_000, instrument)
    assert [frame["action"] for frame in frames[:2]] == ["snapshot", "update"]
    assert frames[0]["data"][0]["prevSeqId"] == -1
    chain = [(frame["data"][0]["prevSeqId"], frame["data"][0]["seqId"]) for frame in frames]
    assert all(later[0] == earlier[1] for earlier, later in pairwise(chain))
    rest = ask(f"market/books?instId={instrument}&sz=400")[1]["data"][0]
    assert rest["seqId"] == chain[-1][1]
    assert sides == {side: {level[0]: level[1] for level in rest[side]} for side in ("bids", "asks")}
    assert {frame["data"][0]["checksum"] for frame in frames} == {0}


def test_requested_checksums_are_correct_after_every_update(listener: Listener, dialect: Dialect) -> None:
    dialect.faults["checksum"]({"kind": "crc32"})
    stream = of("books")
    listener.streams.open(stream)
    sides: Sides = {"bids": {}, "asks": {}}
    for frame in listener.welcome(stream) + listener.run(3_000)[stream]:
        applied(sides, frame)
        assert frame["data"][0]["checksum"] == crc_of(sides)
    dialect.faults["checksum"]({"kind": "wrong"})
    frame = listener.run(100)[stream][0]
    applied(sides, frame)
    assert frame["data"][0]["checksum"] != crc_of(sides)
    with pytest.raises(ValueError, match="zero, crc32, wrong"):
        dialect.faults["checksum"]({"kind": "md5"})


def test_a_later_subscriber_gets_a_snapshot_that_the_next_update_follows(listener: Listener) -> None:
    followed(listener, 1_050)
    (snapshot,) = listener.welcome(of("books"))
    update = listener.run(200)[of("books")][0]
    assert (snapshot["action"], snapshot["data"][0]["prevSeqId"]) == ("snapshot", -1)
    assert update["data"][0]["prevSeqId"] == snapshot["data"][0]["seqId"]


def test_a_lost_update_breaks_the_chain(listener: Listener, faults: Faults) -> None:
    faults.book_gaps.append(("BTC-USDT", Span(step_at(NOON) + 5, step_at(NOON) + 5)))
    listener.streams.open(of("books"))
    frames = listener.run(2_000)[of("books")]
    chain = [(frame["data"][0]["prevSeqId"], frame["data"][0]["seqId"]) for frame in frames]
    assert sum(later[0] != earlier[1] for earlier, later in pairwise(chain)) == 1


def test_the_sequence_is_reset_on_request_as_after_maintenance(listener: Listener, market: Market, ask: Ask) -> None:
    stream = of("books")
    frames, sides = followed(listener, 1_050)
    market.listings["BTC-USDT"].book.restart_ids(step_at(NOON + 1_050))
    after = listener.run(1_000)[stream]
    first = after[0]["data"][0]
    assert first["prevSeqId"] == frames[-1]["data"][0]["seqId"] > first["seqId"]
    assert after[1]["data"][0]["prevSeqId"] == first["seqId"]
    for frame in after:
        applied(sides, frame)
    rest = ask("market/books?instId=BTC-USDT&sz=400")[1]["data"][0]
    assert sides["bids"] == {level[0]: level[1] for level in rest["bids"]}


def test_an_update_without_changes_has_the_same_id_twice_and_loses_nothing(
    listener: Listener, dialect: Dialect, ask: Ask
) -> None:
    dialect.faults["quiet-book"]({"symbol": "BTC-USDT", "count": "3"})
    frames, sides = followed(listener, 2_000)
    quiet = [f["data"][0] for f in frames[1:] if f["data"][0]["seqId"] == f["data"][0]["prevSeqId"]]
    assert len(quiet) == 3
    assert all(frame["asks"] == frame["bids"] == [] for frame in quiet)
    rest = ask("market/books?instId=BTC-USDT&sz=400")[1]["data"][0]
    assert sides["asks"] == {level[0]: level[1] for level in rest["asks"]}


def test_streamed_trades_are_those_of_rest_with_consecutive_ids(listener: Listener, ask: Ask) -> None:
    for channel in ("trades", "trades-all"):
        listener.streams.open(of(channel))
    events = listener.run(2_000)
    every = [frame["data"][0] for frame in events[of("trades-all")]]
    ids = [int(trade["tradeId"]) for trade in every]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert every[::-1] == ask(f"market/trades?instId=BTC-USDT&limit={len(every)}")[1]["data"]
    merged = [frame["data"][0] for frame in events[of("trades")]]
    assert set(merged[0]) == {"instId", "tradeId", "px", "sz", "side", "ts", "count", "source", "seqId"}
    last = ids[0] - 1
    for trade in merged:
        last += int(trade["count"])
        assert int(trade["tradeId"]) == last
    assert last == ids[-1]


def test_dropped_trades_are_only_in_rest(listener: Listener, faults: Faults, market: Market, ask: Ask) -> None:
    listing = market.listings["BTC-USDT"]
    first = listing.next_id()
    raws = Span(listing.tape.first_raw_id_of(first), listing.tape.first_raw_id_of(first + 2) - 1)
    faults.dropped.append(Dropped("BTC-USDT", Span(first, first + 1), raws))
    listener.streams.open(of("trades-all"))
    events = listener.run(3_000)[of("trades-all")]
    assert int(events[0]["data"][0]["tradeId"]) == raws.last + 1
    rows = ask(f"market/history-trades?instId=BTC-USDT&after={raws.last + 1}&before={raws.first - 1}")[1]["data"]
    assert [int(row["tradeId"]) for row in rows] == list(range(raws.last, raws.first - 1, -1))


def test_confirmed_candles_are_those_of_rest(listener: Listener, ask: Ask) -> None:
    listener.streams.open(of("candle1m"))
    rows = [frame["data"][0] for frame in listener.run(181_000, stride=250)[of("candle1m")]]
    confirmed = [row for row in rows if row[8] == "1"]
    assert confirmed == ask(f"market/candles?instId=BTC-USDT&before={NOON - 1}&after={NOON + 180_000}")[1]["data"][::-1]
    assert {row[8] for row in rows} == {"0", "1"}


def test_streamed_figures_of_a_swap_agree_with_rest(listener: Listener, ask: Ask) -> None:
    paths = {"mark-price": "mark-price", "funding-rate": "funding-rate", "open-interest": "open-interest"}
    for channel in paths:
        listener.streams.open(of(channel, "BTC-USDT-SWAP"))
    listener.run(30_000, stride=100)
    for channel, path in paths.items():
        stream = of(channel, "BTC-USDT-SWAP")
        (frame,) = listener.welcome(stream)
        assert frame["arg"] == {"channel": channel, "instId": "BTC-USDT-SWAP"}
        assert frame["data"] == ask(f"public/{path}?instId=BTC-USDT-SWAP")[1]["data"]


def test_an_index_is_below_its_swap_and_exists_only_for_swaps(listener: Listener, dialect: Dialect, ask: Ask) -> None:
    stream = of("index-tickers")
    listener.streams.open(stream)
    frames = listener.run(3_000, stride=100)[stream]
    assert len(frames) == 3
    assert frames[0]["arg"] == {"channel": "index-tickers", "instId": "BTC-USDT"}
    (row,) = frames[-1]["data"]
    assert set(row) == {"instId", "idxPx", "high24h", "low24h", "open24h", "sodUtc0", "sodUtc8", "ts"}
    (mark,) = ask("public/mark-price?instId=BTC-USDT-SWAP")[1]["data"]
    assert (row["instId"], row["ts"]) == ("BTC-USDT", mark["ts"])
    assert 0.99 < float(row["idxPx"]) / float(mark["markPx"]) < 1
    assert float(row["low24h"]) <= float(row["idxPx"]) <= float(row["high24h"])
    session, client = dialect.sessions["/ws/v5/public"], FakeClient()
    args = [{"channel": "index-tickers", "instId": name} for name in ("BTC-USDT", "BTC-USDT-SWAP", "BTC-EUR")]
    answers = client.takes(session.replies(client, json.dumps({"op": "subscribe", "args": args})))
    assert [answer["event"] for answer in answers] == ["subscribe", "error", "error"]


def test_liquidations_are_trades_of_swaps(listener: Listener) -> None:
    everywhere = named({"channel": "liquidation-orders", "instType": "SWAP"})
    for stream in (everywhere, of("trades", "BTC-USDT-SWAP")):
        listener.streams.open(stream)
    events = listener.run(60_000, stride=100)
    rows = [row for frame in events[everywhere] for row in frame["data"]]
    assert {row["instId"].rpartition("-")[2] for row in rows} == {"SWAP"}
    details = {(row["details"][0]["bkPx"], row["details"][0]["sz"]) for row in rows if row["instId"] == "BTC-USDT-SWAP"}
    trades = {(frame["data"][0]["px"], frame["data"][0]["sz"]) for frame in events[of("trades", "BTC-USDT-SWAP")]}
    assert details
    assert details <= trades


def test_the_list_of_instruments_is_sent_once_and_then_its_changes(listener: Listener, market: Market) -> None:
    stream = named({"channel": "instruments", "instType": "SPOT"})
    listener.streams.open(stream)
    (whole,) = listener.welcome(stream)
    assert [it["instId"] for it in whole["data"]] == ["BTC-USDT", "ETH-USDT", "BNB-USDT", "SOL-USDT"]
    assert listener.run(3_000) == {}
    market.delist("BNB-USDT")
    market.list_new(new_instrument({"base": "NEW", "quote": "USDT"}))
    changed = [(it["instId"], it["state"]) for frame in listener.run(8_000)[stream] for it in frame["data"]]
    assert changed == [("BNB-USDT", "suspend"), ("NEW-USDT", "preopen"), ("NEW-USDT", "live")]


def test_a_suspended_market_is_silent_and_returns_with_a_snapshot(listener: Listener, market: Market) -> None:
    followed(listener, 1_000)
    market.delist("BTC-USDT")
    assert listener.run(2_000) == {}
    market.resume("BTC-USDT")
    frames, _ = followed(listener, 500)
    assert frames[0]["action"] == "snapshot"


# --- the session ------------------------------------------------------------------------------------------------------


def test_each_argument_is_acknowledged_or_refused(dialect: Dialect) -> None:
    session, client = dialect.sessions["/ws/v5/public"], FakeClient()
    args = [
        {"channel": "books", "instId": "BTC-USDT"},
        {"channel": "trades", "instId": "NO-SUCH"},
        {"channel": "candle1m", "instId": "BTC-USDT"},
        {"channel": "mark-price", "instId": "BTC-USDT"},
        {"channel": "mark-price", "instId": "BTC-USDT-SWAP"},
    ]
    answers = client.takes(session.replies(client, json.dumps({"op": "subscribe", "args": args, "id": "7"})))
    assert [answer["event"] for answer in answers] == ["subscribe", "error", "error", "error", "subscribe"]
    assert answers[0]["arg"] == args[0]
    assert all(answer["connId"] and answer["id"] == "7" for answer in answers)
    assert answers[1]["code"] == "60018"
    assert "channel:trades,instId:NO-SUCH doesn't exist" in answers[1]["msg"]
    assert list(client.streams) == [named(args[0]), named(args[4])]
    (answer,) = client.takes(session.replies(client, json.dumps({"op": "unsubscribe", "args": args[:1]})))
    assert (answer["event"], list(client.streams)) == ("unsubscribe", [named(args[4])])


def test_candles_are_only_on_the_business_path(dialect: Dialect) -> None:
    session, client = dialect.sessions["/ws/v5/business"], FakeClient()
    args = [{"channel": channel, "instId": "BTC-USDT"} for channel in ("candle1m", "candle1D", "trades-all", "books")]
    answers = client.takes(session.replies(client, json.dumps({"op": "subscribe", "args": args})))
    assert [answer["event"] for answer in answers] == ["subscribe", "error", "subscribe", "error"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"op":"dance","args":[]}',
        '{"op":"subscribe","args":["books"]}',
        '{"op":"subscribe","args":[{"channel":7}]}',
        "hello",
    ],
)
def test_an_invalid_request_is_refused(dialect: Dialect, text: str) -> None:
    client = FakeClient()
    (answer,) = client.takes(dialect.sessions["/ws/v5/public"].replies(client, text))
    assert (answer["event"], answer["code"]) == ("error", "60012")


def test_a_ping_gets_a_pong_and_silence_ends_the_connection(dialect: Dialect) -> None:
    session, client = dialect.sessions["/ws/v5/public"], FakeClient()
    assert client.takes(session.replies(client, "ping")) == ["pong"]
    idle = session.idle(client)
    assert idle is not None
    assert (idle.seconds, idle.code) == (30, 4004)


def test_more_than_480_requests_an_hour_are_refused(dialect: Dialect, clock: ManualClock) -> None:
    session, client = dialect.sessions["/ws/v5/public"], FakeClient()
    request = json.dumps({"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]})
    events = [client.takes(session.replies(client, request))[0] for _ in range(481)]
    assert {event["event"] for event in events[:480]} == {"subscribe"}
    assert events[480]["code"] == "60014"
    clock.now += 3_600_000
    assert client.takes(session.replies(client, request))[0]["event"] == "subscribe"


def test_malformed_frames_are_malformed_as_requested(dialect: Dialect, listener: Listener) -> None:
    listener.streams.open(of("trades"))
    sound = json.dumps(listener.run(2_000)[of("trades")][0])
    bad = {kind: json.loads(make(sound)) for kind, make in dialect.malformed.items()}
    assert bad["unknown-event"]["arg"]["channel"] == "never-heard-of"
    assert bad["error-body"]["event"] == "error"
    assert int(bad["future"]["data"][0]["ts"]) == int(json.loads(sound)["data"][0]["ts"]) + 3_600_000


# --- the recording ----------------------------------------------------------------------------------------------------


def test_frames_have_the_shape_of_recorded_ones(listener: Listener, recordings: Path) -> None:
    recorded: dict[tuple[str, str], Any] = {}
    for line in (recordings / "okx-websocket.capture").read_text().splitlines():
        if line[:1].isdigit():
            frame = json.loads(line.split(": ", 1)[1])
            recorded.setdefault((frame["arg"]["channel"], frame.get("action", "")), frame)
    frames, _ = followed(listener, 2_000)
    for channel in ("trades", "tickers"):
        listener.streams.open(of(channel))
    events = listener.run(5_000)
    ours = {("books", "snapshot"): frames[0], ("books", "update"): frames[1]} | {
        (channel, ""): events[of(channel)][0] for channel in ("trades", "tickers")
    }
    assert ours.keys() == recorded.keys()
    for key, frame in recorded.items():
        theirs = shape(frame["data"][0])
        mine = shape(ours[key]["data"][0])
        assert {name: mine[name] for name in theirs} == theirs
        assert set(frame) == set(ours[key])


def test_the_checksum_equals_the_recorded_one(recordings: Path) -> None:
    for line in (recordings / "okx-websocket.capture").read_text().splitlines():
        if '"snapshot"' in line:
            data = json.loads(line.split(": ", 1)[1])["data"][0]
            assert checksum(data["bids"], data["asks"]) == data["checksum"]
            return
    raise AssertionError("no snapshot was recorded")


def test_the_whole_recording_is_replayed(recordings: Path, tmp_path: Path) -> None:
    for file in recordings.glob("okx-*"):
        (tmp_path / file.name).symlink_to(file)
    (exchange,) = exchanges(Settings(capture=tmp_path, speed=1e9))
    dialect, client = exchange.dialect, FakeClient()
    args = [{"channel": channel, "instId": "BTC-USDT"} for channel in ("books", "trades", "tickers")]
    replies = dialect.sessions["/ws/v5/public"].replies(client, json.dumps({"op": "subscribe", "args": args}))
    assert [answer["event"] for answer in client.takes(replies)] == ["subscribe"] * 3
    for stream in client.streams:
        dialect.source.open(stream)
    recorded = [
        line.split(": ", 1)[1]
        for line in (tmp_path / "okx-websocket.capture").read_text().splitlines()
        if line[:1].isdigit()
    ]
    assert [out.payload.decode() for out in dialect.source.due()] == recorded
