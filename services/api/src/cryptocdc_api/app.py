"""The application: every endpoint on one port, and what all responses have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cryptocdc_adapters.metrics.readings import Readings
from cryptocdc_api.context import Context
from cryptocdc_api.live.subscriptions import Subscriptions
from cryptocdc_api.refusals import Refused, Unavailable, choices, error, of_validation
from cryptocdc_api.requests.gate import Gate
from cryptocdc_api.requests.rates import RateLimit
from cryptocdc_api.routes import about, analysis, figures, live, streams, trace
from cryptocdc_api.routes.reference import page
from cryptocdc_api.routes.responses import json_response
from cryptocdc_api.routes.site import serve_page
from cryptocdc_core.program.settings import ApiSettings

RETRY_S = "1"
Running = Callable[[], AbstractAsyncContextManager[None]]


def build_app(
    context: Context, settings: ApiSettings, readings: Readings, subscriptions: Subscriptions, finder: trace.Finder,
    running: Running,
) -> FastAPI:  # fmt: skip
    """`running` is entered at startup and left at shutdown: the threads and tasks in the background."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running():
            yield

    app = FastAPI(
        title=f"cryptocdc: {context.feed.name}",
        description=f"Market data captured by the feed {context.feed.name}. Decimals are exact and come as strings;"
        " times come in ISO 8601 and, as …_ms, in milliseconds since the epoch. Lists are flat.",
        version=version("cryptocdc-api"),
        docs_url=None,  # FastAPI's own pages fetch their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(streams.routes(context))
    app.include_router(analysis.routes(context))
    app.include_router(figures.routes(context, readings))
    app.include_router(trace.routes(context, finder))
    app.include_router(about.routes(context))
    app.include_router(live.routes(context, subscriptions))
    _serve_own(app, context)
    serve_page(app)
    _handle_errors(app)
    app.add_middleware(
        Gate,
        source=context.source,
        token=settings.token,
        rate=RateLimit(settings.requests_per_s),
        metrics=context.metrics,
    )
    return app


def _serve_own(app: FastAPI, context: Context) -> None:
    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi(), context.source))


def _handle_errors(app: FastAPI) -> None:
    """Every error has the same body: {"errors": [{"field", "value", "accepted", "message"}]}."""

    def parameters(path: str) -> list[str]:
        return [p["name"] for p in app.openapi()["paths"].get(path, {}).get("get", {}).get("parameters", ())]

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, raised: RequestValidationError) -> Response:
        return json_response({"errors": of_validation(raised.errors(), parameters(request.scope["route"].path))}, 400)

    @app.exception_handler(Refused)
    async def refused(_: Request, raised: Refused) -> Response:
        return json_response({"errors": [error(raised.field, raised.value, raised.accepted)]}, raised.status)

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, raised: Unavailable) -> Response:
        return json_response({"errors": [{"message": str(raised)}]}, 503, {"Retry-After": RETRY_S})

    @app.exception_handler(HTTPException)
    async def other(request: Request, raised: HTTPException) -> Response:
        if raised.status_code == 404:
            paths = [*app.openapi()["paths"], "/", "/docs", "/live", "/metrics"]
            return json_response({"errors": [error("path", request.url.path, choices(paths, request.url.path))]}, 404)
        return json_response({"errors": [{"message": raised.detail}]}, raised.status_code, raised.headers)
