"""/api/v3/… over HTTP: weights, faults and error bodies around the answers of a market or of a capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cryptocdc_simulator import errors
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.malformed import KINDS
from cryptocdc_simulator.parameters import Parameters
from cryptocdc_simulator.rest import Answer
from cryptocdc_simulator.weights import Weights

SIMULATED_HEADER = "X-Simulated"


class RestEndpoint:
    """`endpoints`: by path below /api/v3/. `kind` goes into a header of every answer: "market" or "capture"."""

    def __init__(
        self, endpoints: Mapping[str, Callable[[Parameters], Answer]], weights: Weights, faults: Faults, kind: str
    ) -> None:
        self._endpoints, self._weights, self._faults, self._kind = endpoints, weights, faults, kind
        self.answers: Counter[tuple[str, int]] = Counter()  # by endpoint and status

    async def __call__(self, request: Request) -> Response:
        name = request.path_params["endpoint"]
        response = await self._respond(name, request)
        self.answers[name if name in self._endpoints else "unknown", response.status_code] += 1
        response.headers[SIMULATED_HEADER] = self._kind
        for header in ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"):
            response.headers[header] = str(self._weights.used())
        return response

    async def _respond(self, name: str, request: Request) -> Response:
        if self._faults.shows_page:
            self._faults.counts["pages"] += 1
            return Response(errors.LOGIN_PAGE, 200, media_type="text/html")
        refusal = self._faults.refusal()
        if refusal is not None:
            status, seconds = refusal
            self._faults.counts[f"refused_{status}"] += 1
            if status == 429:
                return _refused(errors.too_much_weight(self._weights.limit), seconds)
            if status == 418:
                return _refused(errors.banned(self._faults.refuse_until), seconds)
            if status == 403:
                return Response(errors.FIREWALL_PAGE, 403, media_type="text/html")
            return _refused(errors.restricted() if status == 451 else errors.unavailable(status), None)
        try:
            endpoint = self._endpoints.get(name)
            if endpoint is None:
                raise errors.not_found(request.url.path)
            parameters = Parameters(request.query_params)
            answer = endpoint(parameters)
            parameters.finish()
            over = self._weights.charge(answer.weight)
            if over is not None:
                return _refused(over.error, over.retry_after)
            body = self._faults.page(name, await answer.body())
        except errors.ApiError as error:
            return _refused(error, None)
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        kind = self._faults.malformed.pop(name, None)
        if kind is not None:
            self._faults.counts[f"malformed_{kind}"] += 1
            content = KINDS[kind](content.decode()).encode()
        return Response(content, 400 if kind == "error-body" else 200, media_type="application/json;charset=UTF-8")


def _refused(error: errors.ApiError, retry_after: int | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(msgspec.json.encode(error.body), error.status, headers, "application/json;charset=UTF-8")
