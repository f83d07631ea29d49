"""An exchange's REST API: keeps requests within its limits, obeys its refusals, raises its errors as exceptions."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from cryptocdc_adapters.exchange.budget import Budget
from cryptocdc_adapters.http_client import Session, UnsupportedProxy
from cryptocdc_core.planning.resolve import Market
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Answer, Refusal, Request, SlowDown, Venue

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_S = 10
LOG_AGAIN_S = 10.0
_BACKOFF = Backoff(0.5, 10.0)

URGENT, LIVE, SPARE = 0.95, 0.85, 0.6
"""Shares of a limit: for order books that wait, polling, and backfill, which must not starve live capture."""


class ExchangeError(RuntimeError):
    """The request failed; the message has the exchange's response."""


class ExchangeUnreachable(ExchangeError):
    """No response, or a server error (5xx), after retries."""


class ExchangeRefused(ExchangeError):
    """The exchange refuses the request: `code` is its error code, 0 if it gave none. `unknown_symbol`: because it does
    not list the market. `body`: the raw response.
    """

    def __init__(self, code: int | str, message: str, body: bytes = b"", *, unknown_symbol: bool = False) -> None:
        self.code, self.body, self.unknown_symbol = code, body, unknown_symbol
        super().__init__(message)


class ExchangeUnreadable(ExchangeError):
    """An invalid response: `reason` is one word, suitable as a label; `body` is what was read of the raw response."""

    def __init__(self, reason: str, message: str, body: bytes) -> None:
        self.reason, self.body = reason, body
        super().__init__(message)


class ExchangeBusy(ExchangeError):
    """No request may be sent for longer than the caller is prepared to wait."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"the exchange accepts no requests for another {wait_s:.0f} s")


class Stopped(ExchangeError):
    """The program is stopping; the request was dropped."""


class Rest:
    """One address's access to one exchange. Thread-safe; calls block.

    `patience_s`: how long one request may wait for budget, refusals and retries before it fails.
    `on_throttled` is called with the status of each response that demands slowing down.
    """

    def __init__(
        self,
        venue: Venue,
        api_key: str | None = None,
        patience_s: float = 60.0,
        on_throttled: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.venue = venue
        self.budget = Budget(venue.limits.budgets())
        self._headers = venue.limits.credentials(api_key) if api_key else {}
        self._patience = patience_s
        self._on_throttled = on_throttled
        self._logged_at = float("-inf")
        self._local = threading.local()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End all waiting: requests in progress raise Stopped."""
        self._stopping.set()

    def get(self, request: Request[Any], share: float = LIVE) -> bytes:
        """Return the body of a successful response. Raises one of the ExchangeErrors above."""
        give_up = time.monotonic() + self._patience
        failures = 0
        path, max_bytes = request.path, request.max_bytes
        url = self.venue.hosts.rest + path
        while True:
            self._wait_for_budget(request, share, give_up)
            try:
                response = self._session().get(url, params=request.params, timeout=TIMEOUT_S, stream=True)
                body = _read(response, max_bytes)
            except (UnsupportedProxy, requests.exceptions.InvalidURL) as error:
                raise ExchangeUnreachable(f"{url}: {error}") from error
            except requests.RequestException as error:
                problem = f"{url}: {error}"
            else:
                answer = Answer(response.status_code, response.headers, body)
                self.budget.observe(self.venue.limits.used(answer))
                if response.ok and len(body) > max_bytes:
                    raise ExchangeUnreadable("oversize", f"{path}: more than the {max_bytes} bytes accepted", body)
                verdict = self.venue.limits.verdict(answer)
                if verdict is None and response.ok:
                    return body
                problem = f"{path}: {answer.status}: {body[:200].decode(errors='replace')}"
                if isinstance(verdict, SlowDown):
                    self._on_throttled(answer.status)
                    self.budget.block(verdict.seconds)
                    continue
                if isinstance(verdict, Refusal):
                    message = f"{response.url}: {verdict.code}: {verdict.message}" if verdict.message else problem
                    raise ExchangeRefused(verdict.code, message, body, unknown_symbol=verdict.unknown_symbol)
            failures += 1
            delay = _BACKOFF.after(failures)
            if time.monotonic() + delay > give_up:
                raise ExchangeUnreachable(problem)
            self._log(problem)
            self._sleep(delay * random.uniform(0.5, 1.0))

    def ask(self, request: Request[T], share: float = LIVE) -> T:
        """Return the parsed response. Raises ExchangeError, also for an invalid response."""
        body = self.get(request, share)
        try:
            return request.read(body, time.time_ns() // 1_000_000)
        except Rejected as rejected:
            message = f"{request.path}: an invalid answer: {rejected}: {body[:100]!r}"
            raise ExchangeUnreadable(rejected.reason, message, body) from None

    def _log(self, problem: str) -> None:
        """Log from time to time what a request is waiting for."""
        now = time.monotonic()
        if now - self._logged_at >= LOG_AGAIN_S:
            self._logged_at = now
            log.warning("exchange: %s; retrying for up to %.0f s", problem, self._patience)

    def _wait_for_budget(self, request: Request[Any], share: float, give_up: float) -> None:
        while wait := self.budget.take(request.cost, share, request.limit):
            if time.monotonic() + wait > give_up:
                raise ExchangeBusy(wait)
            # Otherwise all waiting threads would send their requests at the same moment.
            self._sleep(wait + random.uniform(0, min(1.0, wait / 10)))

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped("the program is stopping")

    def _session(self) -> requests.Session:
        """Return this thread's session: sessions are not thread-safe."""
        if self._stopping.is_set():
            raise Stopped("the program is stopping")
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = Session()
            session.headers.update(self._headers)
        return session


def _read(answer: requests.Response, max_bytes: int) -> bytes:
    """Return the whole body, or slightly more than `max_bytes` of a larger one, whose rest is not fetched."""
    body = bytearray()
    with answer:
        for part in answer.iter_content(64 * 1024):
            body += part
            if len(body) > max_bytes:
                break
    return bytes(body)


def markets(rest: Rest, symbol: str | None = None) -> dict[str, Market]:
    """Return all symbols that the exchange lists, or only `symbol`; empty if it is not listed. Limits in the response
    take effect. Raises ExchangeError.
    """
    found: dict[str, Market] = {}
    for request in rest.venue.markets.listing(symbol):
        try:
            listing = rest.ask(request, URGENT)
        except ExchangeRefused as refused:
            if symbol is None or not refused.unknown_symbol:
                raise
        else:
            found |= listing.markets
            rest.budget.resize(listing.limits)
    return found


def quote_volumes(rest: Rest) -> Mapping[str, float]:
    """Return the 24-hour volume of every symbol in its quote asset, for ranking. Raises ExchangeError."""
    found: dict[str, float] = {}
    for request in rest.venue.markets.quote_volumes():
        found |= rest.ask(request, URGENT)
    return found
