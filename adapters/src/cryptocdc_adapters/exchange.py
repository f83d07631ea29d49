"""The exchange's REST API: asked within its weight budget, its refusals obeyed, its errors given as exceptions.

Facts: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (limits, error codes, endpoints).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import requests

from cryptocdc_adapters.exchange_budget import Budget
from cryptocdc_adapters.http_client import Session, UnsupportedProxy
from cryptocdc_core.resolve import Market
from cryptocdc_core.symbols import is_symbol

log = logging.getLogger(__name__)

TIMEOUT_S = 10
TELL_AGAIN_S = 10.0
USED_HEADER = "X-MBX-USED-WEIGHT-1M"
INVALID_SYMBOL = -1121

URGENT, LIVE, SPARE = 0.95, 0.85, 0.6
"""Shares of the budget: order books that wait; polling; backfill, which must not starve what is live."""

_FORBIDDEN_S = 60.0
_LONGEST_BAN_S = 3 * 86_400.0
"""By the exchange's own word; what asks for more is no answer to obey for ever."""
MAX_BODY = 1024 * 1024
"""Bytes of an answer: a page of a thousand rows, or twenty symbols' statistics, has some hundreds of thousands."""
_MAX_BODY_OF_ALL = 64 * 1024 * 1024
"""Of one about every symbol of the exchange."""


class ExchangeError(RuntimeError):
    """The exchange did not answer as wanted; the message says what it said."""


class ExchangeUnreachable(ExchangeError):
    """No answer, or one that speaks of the exchange's own trouble (5xx), after retries."""


class ExchangeRefused(ExchangeError):
    """The exchange understood and refuses: `code` is its own, e.g. -1121 for an unknown symbol, 0 when it gave none.

    `body`: the answer as it came.
    """

    def __init__(self, code: int, message: str, body: bytes = b"") -> None:
        self.code, self.body = code, body
        super().__init__(message)


class ExchangeUnreadable(ExchangeError):
    """An answer that is none: `reason` in a word, fit for a label; `body` as it came, as far as it was read."""

    def __init__(self, reason: str, message: str, body: bytes) -> None:
        self.reason, self.body = reason, body
        super().__init__(message)


class ExchangeBusy(ExchangeError):
    """Nothing may be asked for longer than the caller would wait."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"the exchange wants no request for another {wait_s:.0f} s")


class Stopped(ExchangeError):
    """The program ends; the question was dropped."""


class Rest:
    """One address's access to one exchange. Thread-safe; calls block.

    `patience_s`: how long one question may wait for budget, refusals and retries before it fails.
    `on_throttled` is called with the status of each 429, 418 and 403.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        patience_s: float = 60.0,
        on_throttled: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._base = base_url.rstrip("/") + "/api/v3/"
        self._headers = {"X-MBX-APIKEY": api_key} if api_key else {}
        self._patience = patience_s
        self._on_throttled = on_throttled
        self._told_at = float("-inf")
        self._local = threading.local()
        self._stopping = threading.Event()
        self.budget = Budget()

    def stop(self) -> None:
        """End all waiting: questions in progress raise Stopped."""
        self._stopping.set()

    def get(self, path: str, weight: int, share: float = LIVE, max_bytes: int = MAX_BODY, **params: str | int) -> bytes:
        """The body of a successful answer. Raises ExchangeError of one of the kinds above."""
        give_up = time.monotonic() + self._patience
        delay = 0.5
        while True:
            self._wait_for_budget(weight, share, give_up)
            try:
                answer = self._session().get(self._base + path, params=params, timeout=TIMEOUT_S, stream=True)
                body = _read(answer, max_bytes)
            except (UnsupportedProxy, requests.exceptions.InvalidURL) as error:
                raise ExchangeUnreachable(f"{self._base}{path}: {error}") from error
            except requests.RequestException as error:
                problem = f"{self._base}{path}: {error}"
            else:
                self.budget.told(_used(answer))
                if answer.ok and len(body) <= max_bytes:
                    return body
                if answer.ok:
                    raise ExchangeUnreadable("oversize", f"{path}: more than the {max_bytes} bytes accepted", body)
                problem = f"{path}: {answer.status_code}: {body[:200].decode(errors='replace')}"
                if answer.status_code in (403, 418, 429):
                    self._on_throttled(answer.status_code)
                    self.budget.block(_retry_after(answer))
                    continue
                if answer.status_code < 500:
                    raise _refusal(answer.url, body, problem)
            if time.monotonic() + delay > give_up:
                raise ExchangeUnreachable(problem)
            self._tell(problem)
            self._sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, 10.0)

    def _tell(self, problem: str) -> None:
        """What stands in the way, once in a while: who waits should know for what."""
        now = time.monotonic()
        if now - self._told_at >= TELL_AGAIN_S:
            self._told_at = now
            log.warning("exchange: %s; it is asked again for up to %.0f s", problem, self._patience)

    def _wait_for_budget(self, weight: int, share: float, give_up: float) -> None:
        while wait := self.budget.take(weight, share):
            if time.monotonic() + wait > give_up:
                raise ExchangeBusy(wait)
            # All that wait would else ask in the same instant.
            self._sleep(wait + random.uniform(0, min(1.0, wait / 10)))

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped("the program ends")

    def _session(self) -> requests.Session:
        """One a thread: a session is not safe to share."""
        if self._stopping.is_set():
            raise Stopped("the program ends")
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = Session()
            session.headers.update(self._headers)
        return session


def _read(answer: requests.Response, max_bytes: int) -> bytes:
    """All of the body, or a little more than `max_bytes` of one that is greater: the rest is not even fetched."""
    body = bytearray()
    with answer:
        for part in answer.iter_content(64 * 1024):
            body += part
            if len(body) > max_bytes:
                break
    return bytes(body)


def _used(answer: requests.Response) -> int:
    """The weight used by the exchange's count, 0 when it tells none. Who joins two headers makes "120, 120" of them."""
    try:
        return max(int(count) for count in answer.headers.get(USED_HEADER, "").split(","))
    except ValueError:
        return 0


def _retry_after(answer: requests.Response) -> float:
    """What the exchange asks for; without that a minute, which the firewall's 403 never tells."""
    try:
        return min(max(1.0, float(answer.headers["Retry-After"])), _LONGEST_BAN_S)
    except (KeyError, ValueError):
        return _FORBIDDEN_S


class _Problem(msgspec.Struct):
    code: int
    msg: str


def _refusal(url: str, body: bytes, problem: str) -> ExchangeRefused:
    try:
        error = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ExchangeRefused(0, problem, body)
    return ExchangeRefused(error.code, f"{url}: {error.code}: {error.msg}", body)


def symbols_parameter(symbols: Sequence[str]) -> str:
    """Several symbols as the exchange takes them: JSON without a space, which it would refuse with -1100."""
    return msgspec.json.encode(list(symbols)).decode()


class _Limit(msgspec.Struct, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    quote_asset: str


class _Info(msgspec.Struct, rename="camel"):
    symbols: list[_Symbol]
    rate_limits: list[_Limit] = []


class _Volume(msgspec.Struct, rename="camel"):
    symbol: str
    quote_volume: str


def markets(rest: Rest, symbol: str | None = None) -> dict[str, Market]:
    """Every symbol that the exchange lists, or only `symbol`: nothing where it is not listed. Takes note of the weight
    limit on the way. Raises ExchangeError.
    """
    params = {} if symbol is None else {"symbol": symbol}
    try:
        body = rest.get("exchangeInfo", 20, URGENT, _MAX_BODY_OF_ALL, **params)
    except ExchangeRefused as refused:
        if symbol is not None and refused.code == INVALID_SYMBOL:
            return {}
        raise
    info = _decoded(body, _Info)
    for limit in info.rate_limits:
        if (limit.rate_limit_type, limit.interval, limit.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1):
            rest.budget.limit = limit.limit
    unusable = [entry.symbol for entry in info.symbols if not is_symbol(entry.symbol)]
    if unusable:
        log.warning("exchange: %d listed names can't be captured, such as %.100r", len(unusable), unusable[0])
    return {
        entry.symbol: Market(entry.symbol, entry.quote_asset, entry.status == "TRADING")
        for entry in info.symbols
        if is_symbol(entry.symbol)
    }


def quote_volumes(rest: Rest) -> Mapping[str, float]:
    """What was traded of every symbol in 24 hours, in its quote asset: to rank by. Raises ExchangeError."""
    volumes = _decoded(rest.get("ticker/24hr", 80, URGENT, _MAX_BODY_OF_ALL), list[_Volume])
    return {volume.symbol: float(volume.quote_volume) for volume in volumes}


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = "wrong-field" if isinstance(error, msgspec.ValidationError) else "invalid-json"
        raise ExchangeUnreadable(reason, f"an answer that is none: {error}: {body[:100]!r}", body) from None
