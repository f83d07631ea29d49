"""The channels of Coinbase Exchange, compared with the documentation, the recordings and REST."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cryptocdc_simulator.app import Settings, exchanges
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Dropped, Faults, Span
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, FakeClient, Listener, shape
from ..conftest import NOON

Sides = dict[str, dict[Decimal, Decimal]]


def followed(listener: Listener, milliseconds: int) -> tuple[list[Any], Sides]:
    """Frames of a new subscriber to level2, and the book made of them."""
    listener.streams.open("level2:BTC-USD")
    (snapshot,) = listener.welcome("level2:BTC-USD")
    updates = listener.run(milliseconds)["level2:BTC-USD"]
    sides = {side: {Decimal(p): Decimal(s) for p, s in snapshot[side]} for side in ("bids", "asks")}
    for update in updates:
        for side, price, size in update["changes"]:
            levels = sides["bids" if side == "buy" else "asks"]
            levels[Decimal(price)] = Decimal(size)
            if not Decimal(size):
                del levels[Decimal(price)]
    return [snapshot, *updates], sides


def book_of(ask: Ask) -> Sides:
    book = ask("products/BTC-USD/book?level=2")[1]
    return {side: {Decimal(p): Decimal(s) for p, s, _ in book[side]} for side in ("bids", "asks")}


def test_a_client_s_book_equals_that_of_rest(listener: Listener, ask: Ask) -> None:
    frames, sides = followed(listener, 5_000)
    assert [frame["type"] for frame in frames[:2]] == ["snapshot", "l2update"]
    assert sides == book_of(ask)


def test_a_lost_update_leaves_a_client_with_a_different_book(listener: Listener, faults: Faults, ask: Ask) -> None:
    faults.book_gaps.append(("BTC-USD", Span(step_at(NOON) + 5, step_at(NOON) + 5)))
    _, sides = followed(listener, 1_000)
    assert sides != book_of(ask)
    assert faults.counts["dropped_depth_updates"] == 1


def test_matches_follow_the_last_one_by_consecutive_ids_and_are_those_of_rest(listener: Listener, ask: Ask) -> None:
    listener.streams.open("matches:BTC-USD")
    (last,) = listener.welcome("matches:BTC-USD")
    matches = listener.run(3_000)["matches:BTC-USD"]
    assert (last["type"], {match["type"] for match in matches}) == ("last_match", {"match"})
    ids = [match["trade_id"] for match in (last, *matches)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    sequences = [match["sequence"] for match in (last, *matches)]
    assert sequences == sorted(set(sequences))
    rows = ask(f"products/BTC-USD/trades?before={ids[0]}")[1][::-1]
    same = ("trade_id", "side", "time")
    assert [[row[name] for name in same] for row in rows] == [[match[name] for name in same] for match in matches]
    assert [(Decimal(row["price"]), Decimal(row["size"])) for row in rows] == [
        (Decimal(match["price"]), Decimal(match["size"])) for match in matches
    ]


def test_dropped_matches_are_only_in_rest(listener: Listener, faults: Faults, market: Market, ask: Ask) -> None:
    listing = market.listings["BTC-USD"]
    first = listing.next_id()
    raws = Span(listing.tape.first_raw_id_of(first), listing.tape.first_raw_id_of(first + 2) - 1)
    faults.dropped.append(Dropped("BTC-USD", Span(first, first + 1), raws))
    listener.streams.open("matches:BTC-USD")
    assert listener.run(3_000)["matches:BTC-USD"][0]["trade_id"] == raws.last + 1
    rows = ask(f"products/BTC-USD/trades?before={raws.first - 1}&after={raws.last + 1}")[1]
    assert [row["trade_id"] for row in rows] == list(range(raws.last, raws.first - 1, -1))


def test_the_side_of_a_match_is_the_makers_and_that_of_a_ticker_the_takers(listener: Listener) -> None:
    for channel in ("matches", "ticker"):
        listener.streams.open(f"{channel}:BTC-USD")
    events = listener.run(5_000)
    sides = {match["trade_id"]: match["side"] for match in events["matches:BTC-USD"]}
    assert {sides[ticker["trade_id"]] != ticker["side"] for ticker in events["ticker:BTC-USD"]} == {True}


def test_a_ticker_agrees_with_rest(listener: Listener, ask: Ask) -> None:
    asyncio.run(listener.streams.prepare("ticker:BTC-USD"))
    listener.streams.open("ticker:BTC-USD")
    listener.run(2_000)
    (ticker,) = listener.welcome("ticker:BTC-USD")
    row, stats = ask("products/BTC-USD/ticker")[1], ask("products/BTC-USD/stats")[1]
    assert [ticker[name] for name in ("trade_id", "price", "best_bid", "best_ask", "time", "volume_24h")] == [
        row[name] for name in ("trade_id", "price", "bid", "ask", "time", "volume")
    ]
    assert [ticker[name] for name in ("open_24h", "high_24h", "low_24h", "volume_30d")] == [
        stats[name] for name in ("open", "high", "low", "volume_30day")
    ]
    assert 20 < Decimal(ticker["volume_30d"]) / Decimal(ticker["volume_24h"]) < 45


def test_heartbeats_and_status_are_sent_periodically(listener: Listener, market: Market) -> None:
    listener.streams.open("heartbeat:BTC-USD")
    listener.streams.open("status")
    (status,) = listener.welcome("status")
    events = listener.run(10_000)
    beats = events["heartbeat:BTC-USD"]
    assert len(beats) == 10
    assert set(beats[0]) == {"type", "last_trade_id", "product_id", "sequence", "time"}
    assert beats[-1]["last_trade_id"] == market.listings["BTC-USD"].next_raw_id() - 1
    assert set(status) == {"type", "products", "currencies"}
    assert len(events["status"]) == 2


def test_a_halted_product_is_silent_and_returns_with_its_last_match(listener: Listener, market: Market) -> None:
    listener.streams.open("matches:BTC-USD")
    listener.run(1_000)
    market.delist("BTC-USD")
    listener.run(200)
    assert listener.run(2_000) == {}
    market.resume("BTC-USD")
    listener.streams.open("matches:BTC-USD")
    (last,) = listener.welcome("matches:BTC-USD")
    assert listener.run(2_000)["matches:BTC-USD"][0]["trade_id"] == last["trade_id"] + 1


# --- the session ------------------------------------------------------------------------------------------------------


def say(dialect: Dialect, client: FakeClient, **message: Any) -> Any:
    (answer,) = client.takes(dialect.sessions[""].replies(client, json.dumps(message)))
    return answer


def test_a_subscription_is_acknowledged_with_the_list_of_all(dialect: Dialect) -> None:
    client = FakeClient()
    channels = ["level2_batch", {"name": "ticker", "product_ids": ["ETH-USD"]}]
    answer = say(dialect, client, type="subscribe", product_ids=["BTC-USD", "ETH-USD"], channels=channels)
    assert answer["type"] == "subscriptions"
    assert [(it["name"], it["product_ids"]) for it in answer["channels"]] == [
        ("level2_batch", ["BTC-USD", "ETH-USD"]),
        ("ticker", ["ETH-USD"]),
    ]
    assert list(client.streams) == ["level2:BTC-USD", "level2:ETH-USD", "ticker:ETH-USD"]
    answer = say(dialect, client, type="unsubscribe", product_ids=["BTC-USD"], channels=["level2_batch"])
    assert answer["channels"][0]["product_ids"] == ["ETH-USD"]
    assert list(client.streams) == ["level2:ETH-USD", "ticker:ETH-USD"]


def test_unsubscribing_without_products_leaves_the_whole_channel(dialect: Dialect) -> None:
    client = FakeClient()
    products = ["BTC-USD", "ETH-USD"]
    say(dialect, client, type="subscribe", product_ids=products, channels=["matches", "heartbeat", "status"])
    answer = say(dialect, client, type="unsubscribe", channels=["heartbeat", "status"])
    assert [(it["name"], it["product_ids"]) for it in answer["channels"]] == [("matches", products)]
    assert list(client.streams) == ["matches:BTC-USD", "matches:ETH-USD"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"channels": []}, "No channels provided"),
        ({"channels": ["matches"]}, "No product_ids provided"),
        ({"channels": [7]}, "7 is not a valid channel"),
        ({"channels": [{}]}, "{} is not a valid channel"),
        ({"channels": ["matches"], "product_ids": [[]]}, "[[]] is not a list of products"),
        ({"channels": ["nosuch"], "product_ids": ["BTC-USD"]}, "nosuch is not a valid channel"),
        ({"channels": ["matches"], "product_ids": ["NO-SUCH"]}, "NO-SUCH is not a valid product"),
        (
            {"channels": ["level2"], "product_ids": ["BTC-USD"]},
            "level2, level3, and full channels now require authentication. "
            "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth",
        ),
    ],
)
def test_an_invalid_subscription_is_refused_completely(dialect: Dialect, message: dict[str, Any], reason: str) -> None:
    client = FakeClient()
    answer = say(dialect, client, type="subscribe", **message)
    assert answer == {"type": "error", "message": "Failed to subscribe", "reason": reason}
    assert client.streams == {}


def test_level2_accepts_authenticated_clients(dialect: Dialect) -> None:
    credentials = dict.fromkeys(("signature", "key", "passphrase", "timestamp"), "x")
    answer = say(dialect, FakeClient(), type="subscribe", channels=["level2"], product_ids=["BTC-USD"], **credentials)
    assert answer["channels"][0]["name"] == "level2"


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"dance"}'])
def test_an_invalid_message_is_an_error(dialect: Dialect, text: str) -> None:
    client = FakeClient()
    (answer,) = client.takes(dialect.sessions[""].replies(client, text))
    assert answer["type"] == "error"


def test_a_client_without_a_subscription_after_five_seconds_is_disconnected(dialect: Dialect) -> None:
    session, client = dialect.sessions[""], FakeClient()
    idle = session.idle(client)
    assert idle is not None
    assert idle.seconds == 5
    say(dialect, client, type="subscribe", channels=["status"])
    assert session.idle(client) is None


def test_malformed_frames_are_malformed_as_requested(dialect: Dialect, listener: Listener) -> None:
    listener.streams.open("matches:BTC-USD")
    sound = listener.run(2_000)["matches:BTC-USD"][0]
    bad = {kind: json.loads(make(json.dumps(sound))) for kind, make in dialect.malformed.items()}
    assert bad["unknown-event"]["type"] == "never_heard_of"
    assert bad["error-body"]["type"] == "error"
    assert bad["future"]["time"][:13] == "2026-06-01T13"


# --- the recording ----------------------------------------------------------------------------------------------------


def test_frames_have_the_shape_of_recorded_ones(listener: Listener, recordings: Path) -> None:
    recorded: dict[str, Any] = {}
    for line in (recordings / "coinbase-websocket.capture").read_text().splitlines():
        if line[:1].isdigit():
            frame = json.loads(line.split(": ", 1)[1])
            recorded.setdefault(frame["type"], frame)
    for channel in ("matches", "ticker"):
        listener.streams.open(f"{channel}:BTC-USD")
    frames, _ = followed(listener, 2_000)
    events = listener.run(3_000)
    ours = {
        "snapshot": frames[0],
        "l2update": frames[1],
        "match": events["matches:BTC-USD"][0],
        "last_match": listener.welcome("matches:BTC-USD")[0],
        "ticker": events["ticker:BTC-USD"][0],
    }
    assert ours.keys() == recorded.keys()
    for kind, frame in recorded.items():
        mine, theirs = shape(ours[kind]), shape(frame)
        assert {name: mine[name] for name in theirs} == theirs


def test_the_whole_recording_is_replayed(recordings: Path, tmp_path: Path) -> None:
    for file in recordings.glob("coinbase-*"):
        (tmp_path / file.name).symlink_to(file)
    (exchange,) = exchanges(Settings(capture=tmp_path, speed=1e9))
    recorded = [
        line.split(": ", 1)[1]
        for line in (tmp_path / "coinbase-websocket.capture").read_text().splitlines()
        if line[:1].isdigit()
    ]
    client, source = FakeClient(), exchange.dialect.source
    products = sorted({json.loads(frame)["product_id"] for frame in recorded})
    channels = ["matches", "ticker", "level2_batch"]
    assert say(exchange.dialect, client, type="subscribe", product_ids=products, channels=channels)["type"] == (
        "subscriptions"
    )
    for stream in client.streams:
        source.open(stream)
    assert [out.payload.decode() for out in source.due()] == recorded
