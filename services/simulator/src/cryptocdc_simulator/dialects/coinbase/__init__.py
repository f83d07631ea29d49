"""Coinbase Exchange: REST at /products and /time, the WebSocket feed at the base path itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cryptocdc_simulator.capture import Capture, CaptureStreams
from cryptocdc_simulator.dialects.coinbase import malformed
from cryptocdc_simulator.dialects.coinbase.capture import PATH, CaptureEndpoints, frames_of
from cryptocdc_simulator.dialects.coinbase.products import PRODUCTS, new_product
from cryptocdc_simulator.dialects.coinbase.rest import CoinbaseApi, Endpoint, MarketEndpoints, TokenBucket
from cryptocdc_simulator.dialects.coinbase.streams import CoinbaseStreams
from cryptocdc_simulator.dialects.coinbase.websocket import Feed
from cryptocdc_simulator.dialects.port import Dialect, Source
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.streams import MarketStreams

NAME = "coinbase"
__all__ = ["NAME", "PATH", "PRODUCTS", "frames_of", "of_capture", "of_market"]


def of_market(market: Market, faults: Faults) -> Dialect:
    source = MarketStreams(market, CoinbaseStreams(market, faults))
    return _dialect(source, MarketEndpoints(market, faults).by_name, faults, market)


def of_capture(capture: Capture, streams: CaptureStreams, faults: Faults) -> Dialect:
    return _dialect(streams, CaptureEndpoints(capture, streams).by_name, faults, None)


def _dialect(source: Source, endpoints: Mapping[str, Endpoint], faults: Faults, market: Market | None) -> Dialect:
    def products() -> Collection[str] | None:
        return None if market is None else market.listings.keys()

    feed = Feed(products)
    return Dialect(
        name=NAME,
        base="/coinbase",
        source=source,
        api=CoinbaseApi(endpoints, TokenBucket(faults.clock)),
        rest_paths=("/{endpoint:path}",),
        sessions={"": feed, "/": feed},
        malformed=malformed.KINDS,
        farewell=lambda _: None,
        new_instrument=new_product,
        market=market,
    )
