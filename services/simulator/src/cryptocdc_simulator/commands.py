"""The simulator's part of the command `cryptocdc`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from cryptocdc_simulator.app import Settings, build_app
from cryptocdc_simulator.connections import StreamProtocol
from cryptocdc_simulator.market.symbols import CATALOGUE

_PING_S, _PONG_S = 20, 60


def simulate(
    host: Annotated[str, typer.Option(envvar="CRYPTOCDC_SIMULATOR_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="CRYPTOCDC_SIMULATOR_PORT", min=1, max=65535)] = 8090,
    seed: Annotated[
        int, typer.Option(envvar="CRYPTOCDC_SIMULATOR_SEED", help="the same seed gives the same history")
    ] = 1,
    symbols: Annotated[
        int,
        typer.Option(
            envvar="CRYPTOCDC_SIMULATOR_SYMBOLS", min=1, max=len(CATALOGUE), help="maximum number of symbols per venue"
        ),
    ] = len(CATALOGUE),
    rate: Annotated[
        float,
        typer.Option(
            envvar="CRYPTOCDC_SIMULATOR_RATE",
            min=0.001,
            max=1000,
            help="factor on the rate of trades; at 1 the first 20 symbols have about 180 raw trades per second",
        ),
    ] = 1.0,
    clustering: Annotated[
        bool,
        typer.Option(
            envvar="CRYPTOCDC_SIMULATOR_CLUSTERING",
            help="bursts of trades and changing volatility; without it, both are constant",
        ),
    ] = True,
    capture: Annotated[
        Path | None,
        typer.Option(
            envvar="CRYPTOCDC_SIMULATOR_CAPTURE",
            exists=True,
            file_okay=False,
            help="replay the frames recorded in this folder instead of simulating a market",
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(envvar="CRYPTOCDC_SIMULATOR_SPEED", min=0.01, help="multiple of the recorded speed"),
    ] = 10.0,
    connection_life: Annotated[
        float,
        typer.Option(
            envvar="CRYPTOCDC_SIMULATOR_CONNECTION_LIFE", min=1, help="maximum lifetime of a connection, in seconds"
        ),
    ] = 86_400.0,
) -> None:
    """Run exchanges that speak the venues' REST and WebSocket APIs, for tests and for machines without one."""
    settings = Settings(seed, symbols, rate, capture, speed, connection_life, clustering=clustering)
    try:
        app = build_app(settings)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--capture") from error
    what = f"the capture {capture}" if capture else f"{symbols} simulated symbols, seed {seed}"
    typer.echo(f"{what} on http://{host}:{port} and ws://{host}:{port}", err=True)
    uvicorn.run(
        app,
        host=host,
        port=port,
        ws=StreamProtocol,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PONG_S,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


def register(app: typer.Typer) -> None:
    app.command()(simulate)
