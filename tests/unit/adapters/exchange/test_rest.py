"""The exchange's REST API: the weight budget, refusals, retries, named errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cryptocdc_adapters.exchange import rest as exchange
from cryptocdc_adapters.exchange.budget import Budget
from cryptocdc_adapters.exchange.rest import (
    ExchangeBusy,
    ExchangeRefused,
    ExchangeUnreachable,
    ExchangeUnreadable,
    Rest,
    Stopped,
    markets,
    quote_volumes,
)
from cryptocdc_exchanges.port import MAX_BODY, Limit, Request, Venue
from cryptocdc_exchanges.registry import VENUES

BINANCE = VENUES["binance"]


def light(path: str = "ping", **params: str | int) -> Request[Any]:
    return Request(f"/api/v3/{path}", lambda body, _: body, params, 1, "weight")


def venue(server: Answers) -> Venue:
    return BINANCE.at(server.url)


@dataclass
class Answers:
    """The next responses of a small server, and the requests it received."""

    url: str = ""
    queue: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def add(self, body: Any, status: int = 200, **headers: str) -> None:
        self.queue.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))


@pytest.fixture
def server() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.asked.append((self.path, dict(self.headers)))
            status, headers, body = answers.queue.pop(0)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    answers.url = f"http://127.0.0.1:{listening.server_address[1]}"
    yield answers
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records sleeps instead of sleeping, and advances the budget's clock by them."""
    found: list[float] = []

    def sleep(rest: Rest, seconds: float) -> None:
        found.append(seconds)
        now = rest.budget._now() + seconds
        rest.budget._now = lambda: now

    monkeypatch.setattr(Rest, "_sleep", sleep)
    return found


def test_the_weight_reported_by_the_exchange_overrides_our_own_count(server: Answers) -> None:
    server.add({}, X_MBX_USED_WEIGHT_1M="5500")
    rest = Rest(venue(server))

    rest.get(light())

    assert rest.budget.used == 5500
    assert 0 < rest.budget.take(300, share=0.95) <= 60.1
    assert rest.budget.take(100, share=0.95) == 0


@pytest.mark.parametrize(
    ("header", "used"),
    [("120, 120", 120), ("7, 120", 120), ("", 1), ("many", 1), ("-5", 1), ("1e3", 1), ("9" * 5000, 1)],
)
def test_an_invalid_weight_header_is_ignored(server: Answers, header: str, used: int) -> None:
    server.add({"serverTime": 1}, X_MBX_USED_WEIGHT_1M=header)
    rest = Rest(venue(server))

    assert rest.get(light("time")) == b'{"serverTime": 1}'
    assert rest.budget.used == used


def test_deferrable_requests_leave_spare_budget_and_each_minute_starts_at_zero() -> None:
    now = [60.0 * 1000]
    budget = Budget(BINANCE.limits.budgets(), lambda: now[0])
    budget.observe({"weight": 3600})

    assert budget.take(1, exchange.SPARE) > 0
    assert budget.take(1, exchange.LIVE) == 0
    now[0] += 60
    assert budget.take(1, exchange.SPARE) == 0
    assert budget.used == 1


@pytest.mark.parametrize("status", [429, 418])
def test_all_requests_wait_for_the_retry_after_of_a_refusal(server: Answers, slept: list[float], status: int) -> None:
    server.add({"code": -1003, "msg": "Too much"}, status, Retry_After="37")
    server.add([1])
    throttled: list[int] = []
    rest = Rest(venue(server), on_throttled=throttled.append)

    assert rest.get(light()) == b"[1]"

    assert throttled == [status]
    assert slept[0] >= 36.9


def test_a_ban_longer_than_patience_fails_immediately_and_no_request_is_sent_during_it(server: Answers) -> None:
    server.add({}, 418, Retry_After="7200")
    rest = Rest(venue(server), patience_s=60)

    for _ in range(2):
        with pytest.raises(ExchangeBusy) as busy:
            rest.get(light())
        assert busy.value.wait_s > 7000
    assert len(server.asked) == 1


def test_a_ban_is_capped_at_the_exchange_s_longest(server: Answers) -> None:
    server.add({}, 418, Retry_After="inf")

    with pytest.raises(ExchangeBusy) as busy:
        Rest(venue(server)).get(light())
    assert busy.value.wait_s <= 3 * 86_400


def test_a_403_from_the_firewall_counts_as_busy(server: Answers) -> None:
    server.add(b"<html>", 403)

    with pytest.raises(ExchangeBusy):
        Rest(venue(server), patience_s=5).get(light())


def test_server_errors_of_the_exchange_are_retried_and_logged_once(
    server: Answers, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server.add(b"bad gateway", 502)
    server.add(b"", 503)
    server.add({"serverTime": 1})

    assert Rest(venue(server)).get(light("time")) == b'{"serverTime": 1}'
    assert len(slept) == 2
    assert [record.message for record in caplog.records] == [
        "exchange: /api/v3/time: 502: bad gateway; retrying for up to 60 s"
    ]


def test_a_refused_connection_is_exchange_unreachable() -> None:
    with pytest.raises(ExchangeUnreachable):
        Rest(BINANCE.at("http://127.0.0.1:9"), patience_s=0.1).get(light())


def test_an_error_body_is_an_exception_with_its_code(server: Answers) -> None:
    server.add({"code": -1121, "msg": "Invalid symbol."}, 400)

    with pytest.raises(ExchangeRefused, match="Invalid symbol") as refused:
        Rest(venue(server)).get(BINANCE.requests.book("NOPE", 5))
    assert (refused.value.code, refused.value.unknown_symbol) == (-1121, True)
    assert json.loads(refused.value.body)["msg"] == "Invalid symbol."


def test_an_oversized_response_is_refused_before_it_is_read_completely(server: Answers) -> None:
    server.add(b"x" * (5 * MAX_BODY))

    with pytest.raises(ExchangeUnreadable, match="klines: more than the 1048576 bytes accepted") as unreadable:
        Rest(venue(server)).get(light("klines"))
    assert unreadable.value.reason == "oversize"
    assert MAX_BODY < len(unreadable.value.body) < 2 * MAX_BODY


def test_a_response_about_every_symbol_may_be_large(server: Answers) -> None:
    server.add({"symbols": [], "padding": "x" * (5 * MAX_BODY)})

    assert markets(Rest(venue(server))) == {}


@pytest.mark.parametrize(("body", "reason"), [(b"{", "invalid-json"), (b"[]", "wrong-field")])
def test_an_undecodable_list_of_markets_is_kept_unchanged(server: Answers, body: bytes, reason: str) -> None:
    server.add(body)

    with pytest.raises(ExchangeUnreadable) as unreadable:
        markets(Rest(venue(server)))
    assert (unreadable.value.reason, unreadable.value.body) == (reason, body)


def test_markets_in_any_script_are_listed_and_unsafe_names_are_skipped(
    server: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    """`top` chooses among them: a name that the feed, its status and its API refuse would break the whole feed."""
    names = ["币安人生USDT", "这是测试币456", "BTCUSDT", "A'; DROP TABLE klines; --", "../../ETC"]
    server.add({"symbols": [{"symbol": name, "status": "TRADING", "quoteAsset": "USDT"} for name in names]})

    assert list(markets(Rest(venue(server)))) == names[:3]
    assert "2 listed names can't be captured" in caplog.text


def test_stop_interrupts_a_wait_for_the_budget(server: Answers) -> None:
    rest = Rest(venue(server))
    rest.budget.block(30)
    threading.Timer(0.1, rest.stop).start()

    with pytest.raises(Stopped):
        rest.get(light())


def test_a_list_of_symbols_is_encoded_without_spaces(server: Answers) -> None:
    server.add([])

    Rest(venue(server)).get(BINANCE.requests.prices(["BTCUSDT", "ETHUSDT"]))

    assert server.asked[0][0] == "/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"


def test_the_list_of_markets_also_sets_the_weight_limit(server: Answers) -> None:
    symbols = [
        {"symbol": "BTCUSDT", "status": "TRADING", "quoteAsset": "USDT", "baseAsset": "BTC"},
        {"symbol": "LUNABTC", "status": "BREAK", "quoteAsset": "BTC"},
    ]
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}]
    server.add({"symbols": symbols, "rateLimits": limits})
    rest = Rest(venue(server), api_key="key")

    found = markets(rest)

    assert (found["BTCUSDT"].trading, found["LUNABTC"].trading, found["LUNABTC"].quote) == (True, False, "BTC")
    assert rest.budget.limit == 1200
    assert server.asked[0][1]["X-MBX-APIKEY"] == "key"
    server.add([{"symbol": "BTCUSDT", "quoteVolume": "12.5"}])
    assert quote_volumes(rest) == {"BTCUSDT": 12.5}


def test_a_sliding_window_limit_frees_up_as_requests_age() -> None:
    now = [1000.5]
    budget = Budget([Limit("books", 10, 2.0), Limit("trades", 4, 1.0)], lambda: now[0])
    assert [budget.take(5, 1.0, "books") for _ in range(2)] == [0.0, 0.0]

    assert 2.0 <= budget.take(1, 1.0, "books") <= 2.2
    assert budget.take(4, 1.0, "trades") == 0.0
    assert (budget.used, budget.limit) == (10, 10)
    now[0] += 2.0
    assert budget.take(10, 1.0, "books") == 0.0


def test_a_request_larger_than_its_share_is_allowed_once() -> None:
    budget = Budget([Limit("weight", 100, 60.0, by_clock=True)], lambda: 60.0)

    assert budget.take(90, 0.6) == 0.0
    assert budget.take(90, 0.6) > 0.0
