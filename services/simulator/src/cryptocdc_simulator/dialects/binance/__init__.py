"""Binance's spot market: REST below /api/v3, WebSocket at /ws and /stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from cryptocdc_simulator.archive.faults import archive_fault
from cryptocdc_simulator.capture import Capture, CaptureStreams, Frame
from cryptocdc_simulator.dialects.binance import malformed
from cryptocdc_simulator.dialects.binance.archive import SPOT
from cryptocdc_simulator.dialects.binance.capture import CaptureEndpoints, named
from cryptocdc_simulator.dialects.binance.parameters import SYMBOL, SYMBOL_RANGE, Parameters
from cryptocdc_simulator.dialects.binance.rest import MarketEndpoints, WeighedApi
from cryptocdc_simulator.dialects.binance.streams import SpotStreams
from cryptocdc_simulator.dialects.binance.websocket import Commands
from cryptocdc_simulator.dialects.binance.weights import Weights
from cryptocdc_simulator.dialects.port import Answer, Dialect, Source
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.market.symbols import CATALOGUE, Instrument
from cryptocdc_simulator.streams import MarketStreams

NAME = "binance"
INSTRUMENTS = CATALOGUE
WEIGHT_LIMIT = 6000
PATH = "/api/v3/"


def of_market(market: Market, faults: Faults) -> Dialect:
    endpoints = MarketEndpoints(market, WEIGHT_LIMIT, faults).by_name
    return _dialect(MarketStreams(market, SpotStreams(market, faults)), endpoints, faults, market)


def frames_of(capture: Capture) -> list[Frame]:
    return capture.frames(named)


def of_capture(capture: Capture, streams: CaptureStreams, faults: Faults) -> Dialect:
    """Raises ValueError if the capture lacks responses that the venue's API must return."""
    return _dialect(streams, CaptureEndpoints(capture, streams.time).by_name, faults, None)


def _dialect(
    source: Source,
    endpoints: Mapping[str, Callable[[Parameters], Answer]],
    faults: Faults,
    market: Market | None,
) -> Dialect:
    plain, combined = Commands(combined=False), Commands(combined=True)
    return Dialect(
        name=NAME,
        base="",
        source=source,
        api=WeighedApi(Weights(WEIGHT_LIMIT, faults.clock), faults, endpoints, PATH),
        rest_paths=(PATH + "{endpoint:path}",),
        sessions={"/ws": plain, "/ws/{streams:path}": plain, "/stream": combined},
        malformed=malformed.KINDS,
        farewell=server_shutdown,
        new_instrument=new_instrument,
        market=market,
        archive=None if market is None else SPOT,
        faults={} if market is None else {"archive": archive_fault(faults)},
    )


def server_shutdown(now: int) -> tuple[str, bytes]:
    return "!serverShutdown", json.dumps({"e": "serverShutdown", "E": now}).encode()


def new_instrument(parameters: Mapping[str, str]) -> Instrument:
    """`base` and `quote`; prices and activity are those of the catalogue's tenth entry."""
    base, quote = parameters["base"].upper(), parameters["quote"].upper()
    if not SYMBOL.fullmatch(base + quote):
        raise ValueError(f"symbol {base + quote!r} is not in the exchange's legal range: {SYMBOL_RANGE}")
    return replace(CATALOGUE[9], base=base, quote=quote)
