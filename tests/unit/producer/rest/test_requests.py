"""Invalid responses over REST: refused, counted by reason and kept unchanged, for any caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE

from cryptocdc_adapters.exchange.rest import (
    LIVE,
    ExchangeBusy,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnreachable,
    ExchangeUnreadable,
    Rest,
)
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_producer.rest.requests import Requests

Ask = Callable[[Requests], Awaitable[Any]]
ASKED: dict[str, Ask] = {
    "trades": lambda requests: requests.trades("BTCUSDT", "aggregate", 5),
    "klines": lambda requests: requests.klines("BTCUSDT", "1m", None),
    "stats": lambda requests: requests.stats(["BTCUSDT"]),
    "prices": lambda requests: requests.prices(["BTCUSDT"]),
    "snapshot": lambda requests: requests.snapshot("BTCUSDT", 1000, LIVE),
    "book": lambda requests: requests.book("BTCUSDT", 5, 1000),
    "markets": lambda requests: requests.markets(),
}
asked = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())


class OneAnswer(Rest):
    """Gives the same response to every request."""

    def __init__(self, answer: bytes | Exception) -> None:
        super().__init__(BINANCE)
        self._answer = answer

    def get(self, *_: object, **__: object) -> bytes:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def refused(ask: Ask, answer: bytes | Exception) -> list[tuple[str, bytes]]:
    """Send a request, which must fail; return the reasons and bytes of what was refused meanwhile."""
    found: list[tuple[str, bytes]] = []

    async def scenario() -> None:
        requests = Requests(
            OneAnswer(answer),
            ProducerMetrics("test"),
            lambda reason, detail, body, symbol: found.append((reason, body)),
        )
        try:
            with pytest.raises((ExchangeError, Rejected)):
                await ask(requests)
        finally:
            requests.close()

    asyncio.run(scenario())
    return found


@asked
@pytest.mark.parametrize(("body", "reason"), [(b"<html>", "invalid-json"), (b"7", "wrong-field")])
def test_an_invalid_response_is_kept_unchanged(ask: Ask, body: bytes, reason: str) -> None:
    assert refused(ask, body) == [(reason, body)]


@asked
def test_an_error_body_is_kept_unchanged(ask: Ask) -> None:
    body = b'{"code":-1003,"msg":"Too many requests."}'

    assert refused(ask, ExchangeRefused(-1003, "klines: -1003: Too many requests.", body)) == [("error-body", body)]


@asked
def test_an_oversized_response_is_kept_too(ask: Ask) -> None:
    assert refused(ask, ExchangeUnreadable("oversize", "depth: too big", b"x")) == [("oversize", b"x")]


@asked
@pytest.mark.parametrize(
    "error",
    [ExchangeRefused(-1121, "unknown", b"{}", unknown_symbol=True), ExchangeUnreachable("away"), ExchangeBusy(60.0)],
    ids=["unknown symbol", "away", "busy"],
)
def test_errors_without_an_invalid_response_are_not_counted(ask: Ask, error: ExchangeError) -> None:
    assert refused(ask, error) == []
