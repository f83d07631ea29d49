"""A feed's venue, its hosts, and what it does not support."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from tests.unit.core.feeds import feed

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import FeedError, Spec
from cryptocdc_core.feed.streams import Streams
from cryptocdc_exchanges.port import Venue
from cryptocdc_exchanges.registry import VENUES, always_listed, at_archive, check, simulated, venue_of

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_every_exchange_of_the_feed_model_has_a_venue() -> None:
    assert set(VENUES) == set(get_args(Spec.model_fields["exchange"].annotation))


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_feeds_are_supported_by_their_venues(example: Path) -> None:
    document = yaml.safe_load(example.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("kind") != "CryptoFeed":
        pytest.skip(f"{example.name} is no feed")
    check(feeds.parse(document))


def test_the_feed_s_own_endpoint_is_used_unless_the_caller_names_another() -> None:
    own = feed(endpoints={"rest": "http://proxy"})
    assert venue_of(feed()).hosts.rest == "https://data-api.binance.vision"
    assert venue_of(own).hosts.rest == "http://proxy"
    assert venue_of(own, rest_url="http://test").hosts.rest == "http://test"


def test_a_custom_host_is_assumed_to_give_all_trades_by_id() -> None:
    keyless, own = venue_of(feed()), venue_of(feed(endpoints={"rest": "http://proxy"}))
    assert [keyless.gives_by_id(kind) for kind in ("aggregate", "trade")] == [True, False]
    assert [own.gives_by_id(kind) for kind in ("aggregate", "trade")] == [True, True]


@pytest.mark.parametrize(
    ("rest", "websocket"),
    [
        ("https://h.example/api/v3", "wss://h.example/ws"),
        ("https://h.example/api/v3/", "wss://h.example/stream/"),
        ("https://h.example/api", "wss://h.example/"),
        ("https://h.example/api/v3/ping", "wss://h.example/ws/btcusdt@trade"),
        ("https://h.example", "wss://h.example"),
    ],
)
def test_paths_of_the_api_are_removed_from_an_endpoint(rest: str, websocket: str) -> None:
    hosts = venue_of(feed(endpoints={"rest": rest, "websocket": websocket})).hosts
    assert (hosts.rest, hosts.websocket) == ("https://h.example", "wss://h.example")


def test_a_path_before_the_api_s_own_is_kept() -> None:
    hosts = venue_of(feed(endpoints={"rest": "https://gate.example/api/binance/api/v3"})).hosts
    assert hosts.rest == "https://gate.example/api/binance"


def test_a_replayed_capture_need_not_list_any_market() -> None:
    assert always_listed(feed(), "capture") == ()
    assert "BTCUSDT" in always_listed(feed(), "exchange")


def test_the_simulator_is_reached_at_the_path_of_the_feed_s_venue_unless_a_simulated_feed_names_another() -> None:
    own = {"rest": "http://proxy.example", "websocket": "ws://proxy.example"}

    def hosts(**spec: Any) -> tuple[str, str]:
        found = simulated(feed(**spec), "http://s:1", "ws://s:1").hosts
        return found.rest, found.websocket

    assert hosts(exchange="binance-usdm") == ("http://s:1/binance-usdm", "ws://s:1/binance-usdm")
    assert hosts(exchange="binance-usdm", endpoints=own) == ("http://s:1/binance-usdm", "ws://s:1/binance-usdm")
    assert hosts(exchange="simulated") == ("http://s:1", "ws://s:1")
    assert hosts(exchange="simulated", endpoints=own) == ("http://proxy.example", "ws://proxy.example")


@pytest.mark.parametrize("stream", ["markPrices", "openInterest", "liquidations"])
def test_a_stream_that_an_exchange_does_not_have_is_refused_with_the_exchanges_that_have_it(stream: str) -> None:
    table = STREAMS[stream].table
    having = [name for name, venue in VENUES.items() if table in venue.offers]
    with pytest.raises(FeedError) as refused:
        check(feed(streams={stream: {}}))
    (problem,) = refused.value.problems
    assert problem.startswith(f"spec.streams.{stream}: binance does not have it; accepted: recentTrades, ")
    assert problem.endswith(f"exchanges that have {stream}: {', '.join(having) or 'none'}")


@pytest.mark.parametrize("venue", VENUES.values(), ids=VENUES)
def test_a_stream_without_a_source_field_has_one_source(venue: Venue) -> None:
    for table, offer in venue.offers.items():
        (model, *_) = get_args(Streams.model_fields[table].annotation)
        if "source" not in model.model_fields:
            assert offer.sources == (offer.source(model()),)


def test_a_past_is_loaded_only_from_an_archive_that_has_the_feeds_streams() -> None:
    check(feed(history={"from": "2026-01"}))
    with pytest.raises(
        FeedError, match=r"spec\.history\.from: '2026-01' is not accepted; accepted: nothing, since okx"
    ):
        check(feed(exchange="okx", symbols={"names": ["BTC-USDT"]}, history={"from": "2026-01"}))
    with pytest.raises(FeedError, match="recentTrades, klines"):
        check(feed(streams={"orderBook": {}}, history={"from": "2026-01"}))


def test_more_of_the_past_than_postgresql_keeps_needs_an_archive_of_the_stream() -> None:
    check(feed(history={"klines": "7d", "recentTrades": "3d"}))
    okx: dict[str, Any] = {"exchange": "okx", "symbols": {"names": ["BTC-USDT"]}}
    check(feed(**okx, streams={"klines": {}}, history={"klines": "2d"}))
    with pytest.raises(
        FeedError,
        match=r"spec\.history\.klines: '7d' is not accepted; accepted: at most 2d, what retention\.postgres keeps,"
        r" since okx has no public archive",
    ):
        check(feed(**okx, streams={"klines": {}}, history={"klines": "7d"}))


def test_simulated_days_come_from_the_simulator_and_real_ones_from_the_exchange() -> None:
    assert at_archive(feed(), "exchange").hosts.archive == "https://data.binance.vision"
    assert at_archive(feed(), "simulated", "http://simulator:8090").hosts.archive == "http://simulator:8090"
    own = feed(exchange="simulated", endpoints={"archive": "http://files"})
    assert at_archive(own, "simulated", "http://simulator:8090").hosts.archive == "http://files"
