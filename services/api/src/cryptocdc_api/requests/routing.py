"""How a request's parameters reach an endpoint."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, get_args

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response


class _QueryRoute(APIRoute):
    """An endpoint `(query: Annotated[Model, Query()])`, with `request: Request` before it or without.

    FastAPI would take the model apart field by field for every request, which cost as much as all the rest of an
    answer; here pydantic validates it whole. What OpenAPI says of the parameters stays FastAPI's.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        parameters = inspect.signature(endpoint, eval_str=True).parameters
        wants_request = "request" in parameters
        (annotation,) = (p.annotation for name, p in parameters.items() if name != "request")
        model: type[BaseModel] = get_args(annotation)[0]

        async def handle(request: Request) -> Response:
            try:
                query = model.model_validate(_given(request.query_params))
            except ValidationError as error:
                raise RequestValidationError(error.errors()) from None
            answer: Response = await (endpoint(request, query) if wants_request else endpoint(query))
            return answer

        return handle


def _given(parameters: QueryParams) -> dict[str, str | list[str]]:
    """By name; what is given more than once as a list, which only lists accept."""
    given: dict[str, str | list[str]] = dict(parameters)
    if len(given) < len(parameters.multi_items()):
        for name in given:
            values = parameters.getlist(name)
            given[name] = values if len(values) > 1 else values[0]
    return given


def query_router(*tags: str) -> APIRouter:
    return APIRouter(route_class=_QueryRoute, tags=[*tags])
