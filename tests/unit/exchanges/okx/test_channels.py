"""Channels of OKX: their paths and their names in commands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.feed.model import FeedError
from cryptocdc_exchanges.okx import channels
from cryptocdc_exchanges.port import Channel
from cryptocdc_exchanges.registry import VENUES, check

PERPETUAL: dict[str, Any] = {"markPrices": {}, "openInterest": {}, "liquidations": {}}


def channels_of(symbol: str = "BTC-USDT-SWAP", /, **streams: Any) -> list[Channel]:
    return channels.of(feed(exchange="okx", streams=streams).spec.streams, symbol)


def test_raw_trades_and_candles_use_the_business_path_and_aggregates_the_public_one() -> None:
    assert channels_of(recentTrades={"kind": "trade"}, klines={"intervals": ["1m", "1d"]}) == [
        Channel("recent_trades", "trades-all:BTC-USDT-SWAP", "/ws/v5/business"),
        Channel("klines", "candle1m:BTC-USDT-SWAP", "/ws/v5/business"),
        Channel("klines", "candle1Dutc:BTC-USDT-SWAP", "/ws/v5/business"),
    ]
    assert channels_of(recentTrades={}) == [Channel("recent_trades", "trades:BTC-USDT-SWAP", "/ws/v5/public")]


def test_statistics_and_prices_share_a_channel() -> None:
    by_websocket = {"source": "websocket"}

    assert channels_of(crypto24hStats=by_websocket, latestPrices=by_websocket) == [
        Channel("crypto_24h_stats", "tickers:BTC-USDT-SWAP", "/ws/v5/public", ("latest_prices",))
    ]
    assert channels_of(crypto24hStats={"source": "rest"}, latestPrices=by_websocket) == [
        Channel("latest_prices", "tickers:BTC-USDT-SWAP", "/ws/v5/public")
    ]


def test_mark_prices_have_three_channels_and_liquidations_one_for_all_swaps() -> None:
    assert channels_of(**PERPETUAL) == [
        Channel("mark_prices", "mark-price:BTC-USDT-SWAP", "/ws/v5/public"),
        Channel("mark_prices", "index-tickers:BTC-USDT", "/ws/v5/public"),
        Channel("mark_prices", "funding-rate:BTC-USDT-SWAP", "/ws/v5/public"),
        Channel("liquidations", "liquidation-orders:SWAP", "/ws/v5/public"),
    ]
    assert channels_of("BTC-USD_UM-SWAP", markPrices={})[1].name == "index-tickers:BTC-USD"
    assert channels_of("BTC-USDT", **PERPETUAL, latestPrices={}) == [
        Channel("latest_prices", "tickers:BTC-USDT", "/ws/v5/public")
    ]


def test_a_command_for_liquidations_names_the_instrument_type() -> None:
    command = json.loads(channels.subscribe(7, ["liquidation-orders:SWAP"]))
    assert command["args"] == [{"channel": "liquidation-orders", "instType": "SWAP"}]


@pytest.mark.parametrize("stream", PERPETUAL)
def test_a_feed_of_spot_markets_alone_is_refused_streams_of_swaps(stream: str) -> None:
    names = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"]
    with pytest.raises(FeedError) as refused:
        check(feed(exchange="okx", symbols={"names": names}, streams={stream: {}}))

    assert refused.value.problems == [
        f"spec.streams.{stream}: okx has it for no market of spec.symbols.names (BTC-USDT, ETH-USDT, SOL-USDT, …);"
        " accepted: names with a market that has it, such as BTC-USDT-SWAP"
    ]
    check(feed(exchange="okx", symbols={"names": [*names, "ETH-USDT-SWAP"]}, streams={stream: {}}))


def test_lacking_returns_the_streams_that_a_market_does_not_have() -> None:
    streams = feed(exchange="okx", streams={**PERPETUAL, "latestPrices": {}}).spec.streams

    assert VENUES["okx"].lacking(streams, "BTC-USDT") == ["markPrices", "openInterest", "liquidations"]
    assert VENUES["okx"].lacking(streams, "BTC-USDT-SWAP") == []


def test_a_command_has_one_argument_per_channel() -> None:
    assert json.loads(channels.subscribe(7, ["books:BTC-USDT"])) == {
        "id": "7",
        "op": "subscribe",
        "args": [{"channel": "books", "instId": "BTC-USDT"}],
    }
    assert json.loads(channels.unsubscribe(8, ["books:BTC-USDT"]))["op"] == "unsubscribe"


@pytest.mark.parametrize(
    ("streams", "field"),
    [
        ({"klines": {"intervals": ["1m", "8h"]}}, "spec.streams.klines.intervals: '8h'"),
        ({"klines": {"source": "rest"}}, "spec.streams.klines.source: 'rest'"),
        ({"recentTrades": {"source": "rest"}}, "spec.streams.recentTrades.source: 'rest'"),
    ],
)
def test_unsupported_options_are_refused_by_field(streams: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        check(feed(exchange="okx", streams=streams))


def test_only_raw_trades_are_proven_by_ids() -> None:
    offer = VENUES["okx"].offers["recent_trades"]
    streams = feed(exchange="okx", streams={"recentTrades": {"kind": "trade"}}).spec.streams

    assert offer.of(streams.recent_trades).proof.value == "ids"
    aggregates = feed(exchange="okx", streams={"recentTrades": {}}).spec.streams
    assert offer.of(aggregates.recent_trades).proof.value == "arrival"
    assert "recent_trades" in VENUES["okx"].not_refillable(aggregates)
