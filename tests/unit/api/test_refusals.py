"""Refused requests and their error messages."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.api.doubles import Api, Tables
from tests.unit.api.rows import rows


@pytest.fixture
def api() -> Api:
    prices = [rows("latest_prices", 1, symbol=symbol)[0] for symbol in ("BTCUSDT", "ETHUSDT")]
    return Api(Tables({"latest_prices": prices, "newest_prices": prices}))


@pytest.mark.parametrize(
    ("url", "status", "field", "value", "accepted"),
    [
        ("/klines", 400, "symbol", "", "a value"),
        ("/klines?symbol=BTC USDT", 400, "symbol", "BTC USDT", "the exchange's name in capitals, such as BTCUSDT"),
        ("/klines?symbol=BTCUSD", 404, "symbol", "BTCUSD", "BTCUSDT, ETHUSDT"),
        ("/klines?symbol=BTCUSDT&interval=1d", 404, "interval", "1d", "1m, 1h"),
        ("/klines?symbol=BTCUSDT&interval=7m", 400, "interval", "7m", "'1s'"),
        ("/klines?symbol=BTCUSDT&limit=0", 400, "limit", "0", "1 or more"),
        ("/klines?symbol=BTCUSDT&limit=1001", 400, "limit", "1001", "1000 or less"),
        ("/klines?symbol=BTCUSDT&limit=ten", 400, "limit", "ten", "a whole number"),
        ("/klines?symbol=BTCUSDT&from=yesterday", 400, "from", "yesterday", "ISO 8601"),
        (
            "/klines?symbol=BTCUSDT&from=20261121",
            400,
            "from",
            "20261121",
            "seconds with 10 digits, milliseconds with 13",
        ),
        ("/klines?symbol=BTCUSDT&from=-1", 400, "from", "-1", "ISO 8601"),
        ("/klines?symbol=BTCUSDT&to=99999-01-01", 400, "to", "99999-01-01", "ISO 8601"),
        ("/klines?symbol=BTCUSDT&from=2026-11-02&to=2026-11-01", 400, "from", "1793577600000", "a time before to"),
        ("/klines?symbol=BTCUSDT&cursor=abc", 400, "cursor", "abc", "X-Next-Cursor"),
        ("/klines?symbol=BTCUSDT&order=random", 400, "order", "random", "'newest' or 'oldest'"),
        ("/klines?symbol=BTCUSDT&stream=perhaps", 400, "stream", "perhaps", "true or false"),
        ("/klines?symbol=BTCUSDT&limits=5", 400, "limits", "5", "limit"),
        ("/klines?symbol=BTCUSDT&limit=5&limit=6", 400, "limit", "['5', '6']", "integer"),
        ("/top?by=size", 400, "by", "size", "'trades', 'volume', 'quote_volume', 'gain' or 'loss'"),
        ("/volatility?limit=5", 400, "symbol", "", "without limit"),
        ("/signals?symbol=BTCUSDT&stream=true", 400, "stream", "true", "false"),
        ("/kline?symbol=BTCUSDT", 404, "path", "/kline", "/klines"),
    ],
)
def test_a_refusal_names_field_value_and_what_is_accepted(
    api: Api, url: str, status: int, field: str, value: str, accepted: str
) -> None:
    answer = api.get(url.replace(" ", "%20"))
    assert answer.status == status, answer.body
    (error,) = answer.json()["errors"]
    assert (error["field"], error["value"]) == (field, value)
    assert accepted in error["accepted"]
    assert field in error["message"]


def test_a_market_in_any_script_can_be_requested_by_name() -> None:
    name = "币安人生USDT"
    price = rows("latest_prices", 1, symbol=name)[0]
    api = Api(
        Tables(
            {"latest_prices": [price], "newest_prices": [price], "recent_trades": rows("recent_trades", 3, symbol=name)}
        )
    )
    assert [row["symbol"] for row in api.get("/latest_prices", symbol="币安人生usdt").json()] == [name]
    page = api.get("/recent_trades", symbol=name, limit=2)
    assert len(page.json()) == 2
    assert page.headers["link"].isascii()
    assert len(api.get(page.headers["link"].partition(">")[0].removeprefix("<")).json()) == 1


@pytest.mark.parametrize(
    "name", ["A'; DROP TABLE klines; --", '" OR 1=1', "<SCRIPT>", "../../ETC/PASSWD", "$(ID)", 'A",B="C', "A" * 51, ""]
)
def test_an_injection_attempt_is_refused_before_anything_is_read(api: Api, name: str) -> None:
    reads = api.tables.reads
    for path in ("/klines", "/recent_trades", "/order_book/levels", "/signals", "/trace"):
        given: dict[str, Any] = {"symbol": name, **({"table": "klines"} if path == "/trace" else {})}
        answer = api.get(path, **given)
        assert answer.status == 400, answer.body
    assert api.tables.reads == reads


def test_all_mistakes_are_reported_at_once(api: Api) -> None:
    errors = api.get("/klines?limit=0&order=up").json()["errors"]
    assert {error["field"] for error in errors} == {"symbol", "limit", "order"}


def test_a_long_refused_value_is_truncated(api: Api) -> None:
    (error,) = api.get(f"/klines?symbol=BTCUSDT&cursor={'x' * 300}").json()["errors"]
    assert len(error["value"]) <= 60


def test_a_refused_request_reads_nothing(api: Api) -> None:
    api.get("/klines?symbol=BTCUSDT&limit=0")
    assert api.tables.reads == 0


def test_with_a_token_set_requests_without_it_get_401() -> None:
    api = Api(settings={"token": "s3cret"})
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic s3cret"}):
        answer = api.get("/latest_prices", headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "s3cret" not in answer.body.decode()
    assert api.get("/latest_prices", {"Authorization": "bearer s3cret"}).status == 200
    assert api.get("/health").status == 200


def test_a_client_over_the_rate_limit_gets_retry_after() -> None:
    api = Api(settings={"requests_per_s": 1})
    answers = [api.get("/symbols") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert "too many requests" in answers[-1].json()["errors"][0]["message"]
    assert api.get("/symbols", client="10.0.0.2").status == 200


def test_health_is_exempt_from_the_rate_limit() -> None:
    api = Api(settings={"requests_per_s": 1})
    assert {api.get("/health").status for _ in range(10)} == {200}
    assert api.get("/symbols").status == 200


def test_requests_are_counted_by_route_never_by_requested_path(api: Api) -> None:
    api.get("/klines", symbol="BTCUSDT")
    api.get("/secret-path")
    text = api.get("/metrics").body.decode()
    assert 'cryptocdc_api_requests_total{endpoint="/klines",status="200"} 1.0' in text
    assert 'cryptocdc_api_requests_total{endpoint="none",status="404"} 1.0' in text
    assert "secret-path" not in text
