"""Channels of Coinbase Exchange, the commands that subscribe to them, and their acknowledgements and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.core.feeds import feed
from tests.unit.exchanges.conformance.examples import NOW
from tests.unit.exchanges.conformance.simulated import Connection, Simulated

from cryptocdc_exchanges.coinbase import channels, frames
from cryptocdc_exchanges.port import BookUpdate, Channel, Reply
from cryptocdc_exchanges.registry import VENUES, check

BY_WEBSOCKET = {"source": "websocket"}
ALL: dict[str, Any] = {
    "recentTrades": {"kind": "trade"},
    "crypto24hStats": BY_WEBSOCKET,
    "latestPrices": BY_WEBSOCKET,
    "orderBook": {},
    "bestQuotes": {},
}


def channels_of(**streams: Any) -> list[Channel]:
    return channels.of(feed(exchange="coinbase", streams=streams).spec.streams, "BTC-USD")


def test_statistics_prices_and_quotes_share_a_channel_and_books_use_the_public_one() -> None:
    assert channels_of(**ALL) == [
        Channel("recent_trades", "matches:BTC-USD", "/"),
        Channel("crypto_24h_stats", "ticker:BTC-USD", "/", ("latest_prices", "best_quotes")),
        Channel("order_book", "level2_batch:BTC-USD", "/"),
    ]
    assert channels_of(crypto24hStats={"source": "rest"}, latestPrices=BY_WEBSOCKET) == [
        Channel("latest_prices", "ticker:BTC-USD", "/")
    ]


def test_a_command_lists_the_products_of_each_channel() -> None:
    assert json.loads(channels.subscribe(7, ["matches:BTC-USD", "ticker:BTC-USD", "matches:ETH-USD"])) == {
        "type": "subscribe",
        "channels": [
            {"name": "matches", "product_ids": ["BTC-USD", "ETH-USD"]},
            {"name": "ticker", "product_ids": ["BTC-USD"]},
        ],
    }
    assert json.loads(channels.unsubscribe(8, ["matches:BTC-USD"]))["type"] == "unsubscribe"


def test_a_product_that_is_not_listed_is_refused_by_name_and_the_others_are_subscribed_to() -> None:
    listed, unlisted = (feed(exchange="coinbase", streams=ALL).spec.streams for _ in range(2))
    connection = Connection(Simulated(VENUES["coinbase"]), feed(exchange="coinbase", streams=ALL), "/")

    connection.subscribe(channels.of(unlisted, "NO-SUCH")[:1])
    connection.subscribe(channels.of(listed, "BTC-USD")[:1])

    refused, obeyed = connection.replies
    assert isinstance(refused, Reply)
    assert refused.error == "Failed to subscribe: NO-SUCH is not a valid product"
    assert refused.names is not None
    assert "matches:NO-SUCH" in refused.names
    assert obeyed == Reply()
    assert channels.limits.channels_per_command == 1, "the venue refuses all of a command"


def test_a_subscription_starts_with_the_last_match_and_the_whole_book() -> None:
    wanted = feed(exchange="coinbase", streams=ALL)
    connection = Connection(Simulated(VENUES["coinbase"]), wanted, "/")

    welcomed = connection.subscribe(channels.of(wanted.spec.streams, "BTC-USD"))

    assert [json.loads(raw)["type"] for raw in welcomed] == ["last_match", "ticker", "snapshot"]


def test_a_snapshot_without_a_time_replaces_the_book() -> None:
    decode = frames.decoder(feed(exchange="coinbase", streams=ALL).spec.streams)

    (event,) = decode(b'{"type":"snapshot","product_id":"BTC-USD","bids":[["1.0","2"]],"asks":[]}')  # type: ignore[misc]

    assert event.row(NOW) == BookUpdate(
        symbol="BTC-USD", event_time=NOW, first_id=0, last_id=0, bids=[("1.0", "2")], asks=[], snapshot=True,
        numbered=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("streams", "field"),
    [
        ({"recentTrades": {"kind": "aggregate"}}, "spec.streams.recentTrades.kind: 'aggregate'"),
        ({"klines": {"source": "websocket"}}, "spec.streams.klines.source: 'websocket'"),
        ({"klines": {"source": "rest", "intervals": ["1m", "3m"]}}, "spec.streams.klines.intervals: '3m'"),
    ],
)
def test_unsupported_options_are_refused_by_field(streams: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        check(feed(exchange="coinbase", streams=streams))
