"""The ASGI application: every endpoint on one port, and the loop that sends what is due."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from cryptocdc_simulator.capture import Capture, CaptureApi, CaptureStreams
from cryptocdc_simulator.connections import Connections
from cryptocdc_simulator.control import Control
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Clock, Market
from cryptocdc_simulator.market_streams import MarketStreams
from cryptocdc_simulator.metrics import metrics_page
from cryptocdc_simulator.parameters import Parameters
from cryptocdc_simulator.rest import Answer, MarketApi
from cryptocdc_simulator.rest_endpoint import RestEndpoint
from cryptocdc_simulator.source import Source
from cryptocdc_simulator.websocket import StreamEndpoint
from cryptocdc_simulator.weights import Weights

logger = logging.getLogger(__name__)

WEIGHT_LIMIT = 6000
_TICK_S = 0.02
_STUCK_S = 5.0


@dataclass(frozen=True)
class Settings:
    """What is simulated. `capture`: replay this folder instead of a market, `speed` times as fast as recorded.

    `clustering`: as in `Market`.
    """

    seed: int = 1
    symbols: int = 64
    rate: float = 1.0
    capture: Path | None = None
    speed: float = 10.0
    connection_life_s: float = 86_400.0
    shutdown_grace_s: float = 10.0
    clustering: bool = True


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


def build_app(settings: Settings, clock: Clock = wall_clock) -> Starlette:
    """Raises ValueError or OSError when a capture can't be read."""
    faults = Faults(clock)
    market: Market | None = None
    source: Source
    endpoints: Mapping[str, Callable[[Parameters], Answer]]
    if settings.capture is None:
        market = Market(settings.seed, settings.symbols, settings.rate, clock, settings.clustering)
        source = MarketStreams(market, faults)
        endpoints = MarketApi(market, WEIGHT_LIMIT, faults).endpoints
        replay = None
    else:
        capture = Capture.read(settings.capture)
        source = replay = CaptureStreams(capture, settings.speed, time.monotonic)
        endpoints = CaptureApi(capture, replay.time).endpoints
    weights = Weights(WEIGHT_LIMIT, clock)
    connections = Connections(source, faults, settings.connection_life_s, settings.shutdown_grace_s)
    rest = RestEndpoint(endpoints, weights, faults, "capture" if replay else "market")
    control = Control(connections, faults, weights, market, replay, tuple(endpoints))

    async def health(_: Request) -> Response:
        behind = time.monotonic() - connections.last_pump
        return PlainTextResponse(
            "ok\n" if behind < _STUCK_S else f"nothing was sent for {behind:.0f} s\n", 200 if behind < _STUCK_S else 503
        )

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(metrics_page(connections, rest, faults), media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        pump = asyncio.create_task(_pump(connections))
        yield
        pump.cancel()

    stream_endpoint = StreamEndpoint(connections)
    return Starlette(
        routes=[
            Route("/api/v3/{endpoint:path}", rest.__call__, methods=["GET"]),
            WebSocketRoute("/ws", stream_endpoint.__call__),
            WebSocketRoute("/ws/{streams:path}", stream_endpoint.__call__),
            WebSocketRoute("/stream", stream_endpoint.__call__),
            Route("/simulator/state", control.state, methods=["GET"]),
            Route("/simulator/faults/{fault}", control.fault, methods=["POST"]),
            Route("/healthz", health),
            Route("/metrics", metrics),
        ],
        lifespan=lifespan,
    )


async def _pump(connections: Connections) -> None:
    """Ends only by an error, which /healthz then tells of."""
    while True:
        try:
            connections.pump()
        except Exception:
            logger.exception("the streams have stopped")
            raise
        await asyncio.sleep(_TICK_S)
