"""Middleware for every request: token, rate limit, metrics, and the headers of the response."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cryptocdc_api.requests.rates import RateLimit
from cryptocdc_core.names import Source
from cryptocdc_core.program.metrics import ApiMetrics

SOURCE_HEADER = "X-Cryptocdc-Source"
OPEN = ("/", "/health")
OPEN_BELOW = "/static/"
"""Served without a token: what a load balancer probes, and the page, which contains no data and asks its user for the
token."""
UNLIMITED = "/health"
"""A probe may come from a proxy's address; requests of the proxy's users must not make this process look unhealthy."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
SUBPROTOCOL = "bearer."
"""A browser can't set headers on a WebSocket, so it may pass the token as a subprotocol: "bearer." and the token,
percent-encoded, since a subprotocol can't contain all characters of Base64."""


class Gate:
    def __init__(
        self, app: ASGIApp, *, source: Source, token: str | None, rate: RateLimit, metrics: ApiMetrics
    ) -> None:
        self._app, self._rate, self._metrics = app, rate, metrics
        self._token = None if token is None else token.encode()
        given = {**HEADERS, SOURCE_HEADER: source}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in given.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
                status = message.get("status", 101)
                message["headers"] = [*message.get("headers", ()), *self._headers]
            elif message["type"] == "websocket.close" and status == 500:
                status = 403  # the server's answer to a WebSocket that is closed before it is accepted
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _refuse(scope, receive, noted, *refusal)
            else:
                await self._app(scope, receive, noted)
        finally:
            # The route's own path rather than the requested one, so that the number of labels is bounded.
            endpoint = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(endpoint, str(status)).inc()
            if scope["type"] == "http":
                self._metrics.request_seconds.labels(endpoint).observe(time.monotonic() - began)

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        """Return (status, message, headers) for a request that must not reach its endpoint."""
        limited = scope["path"] != UNLIMITED
        wait = self._rate.wait_s((scope.get("client") or ("unknown",))[0]) if limited else 0.0
        if wait:
            self._metrics.limited.inc()
            return 429, f"too many requests; try again in {wait:.2f} s", {"retry-after": str(math.ceil(wait))}
        if self._token is not None and not _is_open(scope["path"]):
            given = _bearer(scope)
            if given is None or not hmac.compare_digest(given, self._token):
                message = "Authorization: a bearer token is accepted" + ("" if given is None else ", and not this one")
                return 401, message, {"www-authenticate": "Bearer"}
        return None


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_BELOW)


def _bearer(scope: Scope) -> bytes | None:
    scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode()
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(SUBPROTOCOL):
            return unquote_to_bytes(offered.removeprefix(SUBPROTOCOL))
    return None


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, message: str, more: Mapping[str, str]
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    body = msgspec.json.encode({"errors": [{"message": message}]})
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
