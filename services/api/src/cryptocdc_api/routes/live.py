"""`/live`: new rows over a WebSocket, as they arrive in Kafka."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from cryptocdc_api.context import Context
from cryptocdc_api.live.subscriptions import Client, Subscriptions
from cryptocdc_api.refusals import Refused, choices
from cryptocdc_api.requests.gate import SUBPROTOCOL
from cryptocdc_core.feed.symbols import as_listed, is_symbol

MOST_CLIENTS = 200
MOST_SYMBOLS = 200
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
CLOSING_S = 1.0
_REASON_BYTES = 120
"""The maximum length of a close frame's reason."""


def requested(context: Context, streams: str, symbols: str) -> Client:
    """Return a client for `?streams=&symbols=`, each separated by commas; empty means all. Raises Refused."""
    tables = [part.strip() for part in streams.split(",") if part.strip()]
    for table in tables:
        if table not in context.tables:
            raise Refused("streams", table, choices(context.tables, table))
    names = [as_listed(part) for part in symbols.split(",") if part.strip()]
    for name in names:
        if not is_symbol(name):
            raise Refused("symbols", name, "symbols separated by commas, such as BTCUSDT,ETHUSDT")
    if len(names) > MOST_SYMBOLS:
        raise Refused("symbols", f"{len(names)} symbols", f"{MOST_SYMBOLS} at most, or none for all")
    return Client(frozenset(tables or context.tables), frozenset(names))


def routes(context: Context, subscriptions: Subscriptions) -> APIRouter:
    router = APIRouter()

    @router.websocket("/live")
    async def live(socket: WebSocket) -> None:
        """Send one object, {"source", "streams", "symbols"}; then arrays of rows as they arrive."""
        offered = next((p for p in socket.scope.get("subprotocols", ()) if p.startswith(SUBPROTOCOL)), None)
        await socket.accept(subprotocol=offered)
        try:
            unknown = set(socket.query_params) - {"streams", "symbols"}
            if unknown:
                raise Refused(min(unknown), socket.query_params[min(unknown)], "the parameters streams, symbols")
            client = requested(context, socket.query_params.get("streams", ""), socket.query_params.get("symbols", ""))
        except Refused as refused:
            await _close(socket, POLICY_VIOLATION, str(refused))
            return
        if len(subscriptions) >= MOST_CLIENTS:
            await _close(socket, TRY_AGAIN_LATER, f"{MOST_CLIENTS} clients are connected already")
            return
        subscriptions.add(client)
        context.metrics.live_clients.set(len(subscriptions))
        try:
            await _serve(context, socket, client)
        finally:
            subscriptions.remove(client)
            context.metrics.live_clients.set(len(subscriptions))

    return router


async def _serve(context: Context, socket: WebSocket, client: Client) -> None:
    sending = asyncio.create_task(_send(context, socket, client))
    leaving = asyncio.create_task(_until_gone(socket))
    slow = asyncio.create_task(client.overflowed.wait())
    done, pending = await asyncio.wait({sending, leaving, slow}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if slow in done:
        context.metrics.live_dropped.inc()
        await _close(socket, TRY_AGAIN_LATER, f"too slow: {client.capacity} rows were waiting")
    for task in done:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # sent to a client that has just disconnected
            task.result()


async def _send(context: Context, socket: WebSocket, client: Client) -> None:
    hello = {"source": context.source, "streams": sorted(client.tables), "symbols": sorted(client.symbols)}
    await socket.send_text(msgspec.json.encode(hello).decode())
    while True:
        rows = await client.take()
        await socket.send_text(rows.decode())


async def _until_gone(socket: WebSocket) -> None:
    """Return when the client has disconnected; what it sends is ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is WebSocketState.DISCONNECTED:
        return
    short = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(CLOSING_S):
            await socket.close(code, short)
