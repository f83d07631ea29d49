"""`/metrics`, `/healthz` and `/readyz` of every program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from cryptocdc_core.program.exits import Exit, fail
from cryptocdc_core.program.settings import ServingSettings


class Health:
    """Health of the program's loop: healthy while the last `beat` is younger than `limit_s`.

    A program beats when it has made progress (a batch written, a poll that found nothing to do), never from a separate
    timer, so that one that hangs becomes unhealthy.
    """

    def __init__(self, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._now = now
        self._last = now()
        self._halted: str | None = None
        self._checks: list[Callable[[], str | None]] = []

    def beat(self) -> None:
        self._last = self._now()

    def halt(self, reason: str) -> None:
        """Become permanently unhealthy, with the reason."""
        self._halted = reason

    def problem(self) -> str | None:
        """Return why the program is unhealthy, None if it is healthy."""
        if self._halted is not None:
            return self._halted
        age = self._now() - self._last
        return None if age <= self._limit_s else f"no progress for {age:.0f} s; {self._limit_s:.0f} s are accepted"

    def ready_when(self, check: Callable[[], str | None]) -> None:
        """Add a condition of readiness: `check` returns what prevents the program's work now, None when nothing does.

        It is called from the thread that serves requests, at each of them.
        """
        self._checks.append(check)

    def obstacle(self) -> str | None:
        """Return what prevents the program's work now, None when nothing does.

        A restart may not help, so it is separate from `problem`: readiness reports within seconds what liveness must
        tolerate for a while.
        """
        problem = self.problem()
        return problem if problem is not None else next((found for check in self._checks if (found := check())), None)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Do not log scrapes."""


def serve(registry: CollectorRegistry, health: Health, host: str, port: int) -> WSGIServer:
    """Serve from a background thread until `shutdown`. Raises OSError if the port is in use."""
    metrics = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        ask = {"/healthz": health.problem, "/readyz": health.obstacle}.get(environ["PATH_INFO"])
        if ask is not None:
            problem = ask()
            start("200 OK" if problem is None else "503 Service Unavailable", [("Content-Type", "text/plain")])
            return [(problem or "ok").encode() + b"\n"]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /healthz and /readyz are served\n"]

    server = make_server(host, port, application, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def serve_or_exit(registry: CollectorRegistry, health: Health, settings: ServingSettings) -> WSGIServer:
    """Call `serve` with the settings' port; exit with Exit.PLATFORM if it is in use."""
    try:
        return serve(registry, health, settings.metrics_host, settings.metrics_port)
    except OSError as error:
        fail(f"{settings.variable('metrics_port')}: {settings.metrics_port}: {error}", Exit.PLATFORM)
