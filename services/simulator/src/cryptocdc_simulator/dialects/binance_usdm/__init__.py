"""Binance's USD-M perpetual futures: REST below /fapi/v1, WebSocket below /public and /market, and at the former /ws
and /stream, which have all streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cryptocdc_simulator.archive.faults import archive_fault
from cryptocdc_simulator.capture import Capture, CaptureStreams
from cryptocdc_simulator.dialects import binance
from cryptocdc_simulator.dialects.binance import malformed
from cryptocdc_simulator.dialects.binance.capture import CaptureEndpoints
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.binance.rest import WeighedApi
from cryptocdc_simulator.dialects.binance.websocket import Commands
from cryptocdc_simulator.dialects.binance.weights import Weights
from cryptocdc_simulator.dialects.binance_usdm.archive import FUTURES
from cryptocdc_simulator.dialects.binance_usdm.rest import DEPTHS, FuturesEndpoints
from cryptocdc_simulator.dialects.binance_usdm.streams import FuturesStreams, is_market, is_public
from cryptocdc_simulator.dialects.port import Answer, Dialect, Session, Source
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.market.symbols import CATALOGUE, Instrument, perpetual
from cryptocdc_simulator.streams import MarketStreams

NAME, PATH = "binance-usdm", "/fapi/v1/"
WEIGHT_LIMIT = 2400
_MESSAGES_A_SECOND = 10


def contract_on(spot: Instrument) -> Instrument:
    return perpetual(spot, spot.pair, max(0, spot.quantity_decimals - 2))


_PERPETUALS = tuple(contract_on(spot) for spot in CATALOGUE if spot.quote == "USDT")
# Contracts with a delivery date are listed, too.
_QUARTERLY = replace(_PERPETUALS[0], name="BTCUSDT_261225", perpetual=False, trades_per_second=1.0)
INSTRUMENTS: tuple[Instrument, ...] = (*_PERPETUALS[:2], _QUARTERLY, *_PERPETUALS[2:])


def of_market(market: Market, faults: Faults) -> Dialect:
    endpoints = FuturesEndpoints(market, WEIGHT_LIMIT, faults).by_name
    return _dialect(MarketStreams(market, FuturesStreams(market, faults)), endpoints, faults, market)


def of_capture(capture: Capture, streams: CaptureStreams, faults: Faults) -> Dialect:
    """Raises ValueError if the capture lacks responses that the venue's API must return."""
    weights = {"aggTrades": 20, "klines": 5, "trades": 5, "historicalTrades": 20}
    endpoints = CaptureEndpoints(capture, streams.time, weights, lambda limit: DEPTHS.get(limit, max(DEPTHS.values())))
    return _dialect(streams, endpoints.by_name, faults, None)


def _dialect(
    source: Source, endpoints: Mapping[str, Callable[[Parameters], Answer]], faults: Faults, market: Market | None
) -> Dialect:
    sessions: dict[str, Session] = {}
    for path, serves in (("", None), ("/public", is_public), ("/market", is_market)):
        plain, combined = (Commands(flag, _MESSAGES_A_SECOND, serves) for flag in (False, True))
        sessions |= {f"{path}/ws": plain, f"{path}/ws/{{streams:path}}": plain, f"{path}/stream": combined}
    return Dialect(
        name=NAME,
        base="/binance-usdm",
        source=source,
        api=WeighedApi(Weights(WEIGHT_LIMIT, faults.clock), faults, endpoints, PATH),
        rest_paths=(PATH + "{endpoint:path}",),
        sessions=sessions,
        malformed=malformed.KINDS,
        farewell=binance.server_shutdown,
        new_instrument=lambda parameters: contract_on(binance.new_instrument(parameters)),
        market=market,
        archive=None if market is None else FUTURES,
        faults={} if market is None else {"archive": archive_fault(faults)},
    )
