"""A venue's REST API over HTTP: responses from a market or a capture, with faults applied."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from cryptocdc_simulator.dialects.port import JSON, ApiError, Dialect, encode
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.malformed import KINDS

SIMULATED_HEADER = "X-Simulated"
_LOGIN_PAGE = b"<html><head><title>Sign in</title></head><body><form>Sign in to use this network.</form></body></html>"
"""The page of a captive portal, with status 200."""
_FIREWALL_PAGE = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"
"""The page of a web application firewall, with status 403: not an error of the API."""


class RestEndpoint:
    """Serves the API of `dialect`; a header of every response says whether it is from a "market" or a "capture"."""

    def __init__(self, dialect: Dialect, faults: Faults) -> None:
        self._api, self._faults = dialect.api, faults
        self._kind = "capture" if dialect.market is None else "market"
        self._malformed = {**KINDS, **dialect.malformed}
        self.answers: Counter[tuple[str, int]] = Counter()  # by endpoint and status

    async def __call__(self, request: Request) -> Response:
        path = request.path_params["endpoint"]
        name = self._api.name_of(path)
        response = await self._respond(path, name or "", request)
        self.answers[name or "unknown", response.status_code] += 1
        response.headers[SIMULATED_HEADER] = self._kind
        response.headers.update(self._api.headers())
        return response

    async def _respond(self, path: str, name: str, request: Request) -> Response:
        if self._faults.shows_page:
            self._faults.counts["pages"] += 1
            return Response(_LOGIN_PAGE, 200, media_type="text/html")
        refusal = self._faults.refusal()
        if refusal is not None:
            status, seconds = refusal
            self._faults.counts[f"refused_{status}"] += 1
            if status == 403:
                return Response(_FIREWALL_PAGE, 403, media_type="text/html")
            return _refused(self._api.refusal(status, seconds))
        try:
            answer = self._api.answer(path, request.query_params)
            body = self._faults.page(name, await answer.body(), answer.rows)
        except ApiError as error:
            return _refused(error)
        content = body if isinstance(body, bytes) else encode(body)
        kind = self._faults.malformed.pop(name, None)
        if kind is not None:
            self._faults.counts[f"malformed_{kind}"] += 1
            content = self._malformed[kind](content.decode()).encode()
        headers = answer.headers(body)
        return Response(content, 400 if kind == "error-body" else 200, headers, JSON)


def _refused(error: ApiError) -> Response:
    content = error.body if isinstance(error.body, bytes) else encode(error.body)
    return Response(content, error.status, dict(error.headers), error.media_type)
