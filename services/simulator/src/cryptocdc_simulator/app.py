"""The ASGI application: all venues on one port, and the loop that sends due events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from cryptocdc_simulator.archive.endpoint import ArchiveEndpoint
from cryptocdc_simulator.capture import Capture, CaptureStreams
from cryptocdc_simulator.connections import Connections
from cryptocdc_simulator.control import Control
from cryptocdc_simulator.dialects.catalogue import VENUES, venue_of
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Clock, Market
from cryptocdc_simulator.metrics import metrics_page
from cryptocdc_simulator.rest_endpoint import RestEndpoint
from cryptocdc_simulator.websocket import StreamEndpoint

logger = logging.getLogger(__name__)

_TICK_S = 0.02
_STUCK_S = 5.0


@dataclass(frozen=True)
class Settings:
    """What is simulated. `capture`: replay this folder instead of a market, `speed` times as fast as recorded.

    `symbols`: the maximum number that each venue lists; `clustering`: as in `Market`.
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


class Exchange:
    """A served venue: its own market, connections, limits and faults."""

    def __init__(
        self, dialect: Dialect, faults: Faults, settings: Settings, replay: CaptureStreams | None = None
    ) -> None:
        self.dialect, self.faults = dialect, faults
        self.connections = Connections(dialect, faults, settings.connection_life_s, settings.shutdown_grace_s)
        self.rest = RestEndpoint(dialect, faults)
        self.control = Control(dialect, self.connections, faults, replay)
        self.archive = (
            None
            if dialect.archive is None or dialect.market is None
            else ArchiveEndpoint(dialect.archive, dialect.market, faults)
        )

    def routes(self) -> list[BaseRoute]:
        base = self.dialect.base
        archive = [] if self.archive is None else [Route(base + self.archive.path, self.archive.__call__)]
        return [
            Route(f"{base}/simulator/state", self.control.state, methods=["GET"]),
            Route(f"{base}/simulator/faults/{{fault}}", self.control.fault, methods=["POST"]),
            *archive,
            *(Route(base + path, self.rest.__call__, methods=["GET"]) for path in self.dialect.rest_paths),
            *(
                WebSocketRoute(base + path, StreamEndpoint(self.connections, session).__call__)
                for path, session in self.dialect.sessions.items()
            ),
        ]


def exchanges(settings: Settings, clock: Clock = wall_clock) -> list[Exchange]:
    """Return all venues, or the captured one. Raises ValueError or OSError if a capture can't be read."""
    if settings.capture is not None:
        capture = Capture.read(settings.capture)
        venue = venue_of(capture)
        frames, faults = venue.frames(capture), Faults(clock)
        if not frames:
            raise ValueError(f"{capture.folder}: a capture needs at least one frame")
        replay = CaptureStreams(frames, settings.speed, time.monotonic)
        return [Exchange(venue.of_capture(capture, replay, faults), faults, settings, replay)]
    made = []
    for venue in VENUES:
        faults = Faults(clock)
        listed = venue.instruments[: settings.symbols]
        market = Market(settings.seed, len(listed), settings.rate, clock, settings.clustering, listed)
        made.append(Exchange(venue.of_market(market, faults), faults, settings))
    return made


def build_app(settings: Settings, clock: Clock = wall_clock) -> Starlette:
    """Raises ValueError or OSError if a capture can't be read."""
    served = exchanges(settings, clock)

    async def health(_: Request) -> Response:
        behind = time.monotonic() - min(exchange.connections.last_pump for exchange in served)
        return PlainTextResponse(
            "ok\n" if behind < _STUCK_S else f"nothing was sent for {behind:.0f} s\n", 200 if behind < _STUCK_S else 503
        )

    async def metrics(_: Request) -> Response:
        page = metrics_page((it.dialect.name, it.connections, it.rest, it.faults) for it in served)
        return PlainTextResponse(page, media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        pump = asyncio.create_task(_pump([exchange.connections for exchange in served]))
        yield
        pump.cancel()
        for exchange in served:
            if exchange.archive is not None:
                exchange.archive.close()

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/metrics", metrics),
            *(route for exchange in served for route in exchange.routes()),
        ],
        lifespan=lifespan,
    )


async def _pump(connections: Sequence[Connections]) -> None:
    """Run until an error, which /healthz then reports."""
    while True:
        try:
            for of_venue in connections:
                of_venue.pump()
        except Exception:
            logger.exception("the streams have stopped")
            raise
        await asyncio.sleep(_TICK_S)
