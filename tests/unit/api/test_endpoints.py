"""The response of each endpoint, and what all responses have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.api.doubles import Api, Tables
from tests.unit.api.rows import moment, row, rows

from cryptocdc_core.catalogue import HEATMAP, STREAMS
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS
from cryptocdc_core.time.times import now_ms


def newest(table: str, **by_symbol: dict[str, Any]) -> list[Any]:
    return [rows(table, 1, symbol=symbol, **values)[0] for symbol, values in by_symbol.items()]


@pytest.fixture
def api() -> Api:
    prices = [
        *rows("latest_prices", 5, price=lambda n: Decimal(f"10{n}.10")),
        *rows("latest_prices", 1, symbol="ETHUSDT"),
    ]
    stats = newest(
        "crypto_24h_stats",
        BTCUSDT={"trade_count": 9, "price_change_percent": Decimal("1.5")},
        ETHUSDT={"trade_count": 12, "price_change_percent": Decimal("-3.20")},
    )
    book = rows("order_book", 3, bid_prices=[Decimal("99.50"), Decimal("99.40")], ask_prices=[Decimal("100.50")],
                bid_quantities=[Decimal("3"), Decimal("1")], ask_quantities=[Decimal("2.0")])  # fmt: skip
    heat_columns = tuple(column for column in HEATMAP.columns if column.name != "hour")
    at = rows("order_book", 1)[0][1]
    heat = [row(heat_columns, 0, bucket_time=at, bin=number) for number in range(24)]
    return Api(Tables({
        "recent_trades": rows("recent_trades", 250, trade_id=lambda n: n),
        "klines": rows("klines", 80, 60_000, interval="1m", close=lambda n: Decimal(100 + n % 7)),
        "book_metrics": rows("book_metrics", 3), "realized_volatility": rows("realized_volatility", 2, interval="1m"),
        "anomalies": rows(
            "anomalies", 6, 60_000, interval="1m", kind=lambda n: ("price", "spread")[n % 2], anomaly=lambda n: n > 3
        ),
        "forecasts": rows("forecasts", 4, 60_000, interval="1m", completed=lambda n: n < 3, skill=None),
        "bars": rows("bars", 8, 5_000, interval="5s") + rows("bars", 1, interval="1m"),
        "latest_prices": prices, "newest_prices": [prices[4], prices[5]],
        "crypto_24h_stats": stats, "newest_24h_stats": stats,
        "order_book": book, HEATMAP.table: heat,
    }))  # fmt: skip


def test_without_a_symbol_the_newest_row_of_each_symbol_is_returned(api: Api) -> None:
    answer = api.get("/latest_prices")
    assert answer.status == 200
    assert [(row["symbol"], row["price"]) for row in answer.json()] == [
        ("BTCUSDT", "104.10"),
        ("ETHUSDT", "0.35130000"),
    ]
    (only,) = api.get("/latest_prices", symbol="btcusdt").json()
    assert only["price"] == "104.10"
    assert only["event_time"].endswith("Z")
    assert isinstance(only["event_time_ms"], int)


def test_anomalies_are_of_a_kind_and_only_those_found_if_asked_for(api: Api) -> None:
    compared = api.get("/anomalies", symbol="BTCUSDT", kind="spread").json()
    assert [row["anomaly"] for row in compared] == [True, False, False]
    (found,) = api.get("/anomalies", symbol="BTCUSDT", interval="1m", kind="spread", only=True).json()
    assert found == compared[0]
    (refused,) = api.get("/anomalies", symbol="BTCUSDT", kind="prices").json()["errors"]
    assert refused["field"] == "kind"
    assert api.get("/anomalies", symbol="BTCUSDT", interval="5s").status == 404


def test_forecasts_are_of_one_length_the_newest_first(api: Api) -> None:
    found = api.get("/forecasts", symbol="BTCUSDT").json()
    assert [(row["interval"], row["completed"], row["skill"]) for row in found] == [
        ("1m", False, None), ("1m", True, None), ("1m", True, None), ("1m", True, None),
    ]  # fmt: skip
    assert api.get("/feed").json()["forecasts"] == ["1m"]
    assert api.get("/forecasts", symbol="BTCUSDT", interval="5m").status == 404


def test_a_range_or_a_limit_returns_the_history_of_a_symbol(api: Api) -> None:
    found = api.get("/latest_prices", symbol="BTCUSDT", limit=3).json()
    assert [row["price"] for row in found] == ["104.10", "103.10", "102.10"]
    oldest = api.get("/latest_prices", symbol="BTCUSDT", order="oldest", from_=found[-1]["event_time"]).json()
    assert oldest == found[::-1]
    assert api.get("/latest_prices", limit=3).json()["errors"][0]["field"] == "symbol"


def test_pages_follow_each_other_by_the_link_in_the_header(api: Api) -> None:
    url, found = "/recent_trades?symbol=BTCUSDT&limit=60", []
    while url:
        answer = api.get(url)
        assert len(answer.json()) <= 60
        found += [row["trade_id"] for row in answer.json()]
        assert ("x-next-cursor" in answer.headers) == ("link" in answer.headers)
        url = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert found == list(range(249, -1, -1))


def test_a_streamed_range_contains_every_row_regardless_of_the_limit(api: Api) -> None:
    found = api.get("/recent_trades", symbol="BTCUSDT", stream="true", limit=1, order="oldest").json()
    assert [row["trade_id"] for row in found] == list(range(250))
    assert api.get("/recent_trades", symbol="BTCUSDT", stream="true", to="2020-01-01").json() == []


def test_klines_are_filtered_by_interval(api: Api) -> None:
    assert len(api.get("/klines", symbol="BTCUSDT").json()) == 80
    assert api.get("/klines", symbol="BTCUSDT", interval="1h").json() == []


def test_an_order_book_includes_its_figures_and_is_also_available_by_level(api: Api) -> None:
    book = api.get("/order_book", symbol="BTCUSDT", limit=1).json()[0]
    assert (book["best_bid"], book["best_ask"], book["spread"], book["mid"]) == ("99.50", "100.50", "1.00", "100.00")
    assert book["imbalance"] == "0.333333333333"
    assert (book["bid_total"], book["ask_total"]) == ("4", "2.0")
    levels = api.get("/order_book/levels", symbol="BTCUSDT").json()
    assert [(at["side"], at["level"], at["price"], at["total"]) for at in levels] == [
        ("bid", 0, "99.50", "3"), ("bid", 1, "99.40", "4"), ("ask", 0, "100.50", "2.0"),
    ]  # fmt: skip
    assert len(api.get("/heatmap", symbol="BTCUSDT", limit=24).json()) == 24


def test_leaders_are_ranked_and_losers_are_not_among_gainers(api: Api) -> None:
    def by(what: str) -> list[str]:
        return [row["symbol"] for row in api.get("/top", by=what, n=5).json()]

    assert by("trades") == ["ETHUSDT", "BTCUSDT"]
    assert by("gain") == ["BTCUSDT"]
    assert by("loss") == ["ETHUSDT"]
    assert [row["rank"] for row in api.get("/top", by="trades").json()] == [1, 2]


def test_statistics_older_than_a_day_are_not_ranked(api: Api) -> None:
    at, day_ms = now_ms(), 86_400_000
    for name, age_ms in (("GONEUSDT", day_ms + 60_000), ("QUIETUSDT", day_ms - 60_000)):
        left = rows("crypto_24h_stats", 1, symbol=name, event_time=moment(at - age_ms), trade_count=99,
                    price_change_percent=Decimal(50))  # fmt: skip
        api.tables.rows["newest_24h_stats"].extend(left)
    for by in ("trades", "quote_volume", "gain"):
        found = {row["symbol"] for row in api.get("/top", by=by).json()}
        assert "GONEUSDT" not in found
        assert "QUIETUSDT" in found
    assert "GONEUSDT" in {row["symbol"] for row in api.get("/crypto_24h_stats").json()}, "it is still the newest row"


def test_unreported_statistics_are_null_and_not_ranked(api: Api) -> None:
    nothing: dict[str, Any] = {column.name: None for column in CRYPTO_24H_STATS.nullable}
    left = rows("crypto_24h_stats", 1, symbol="BTC-USD", volume=Decimal(1000), **nothing)
    api.tables.rows["newest_24h_stats"].extend(left)
    for by, ranked in {"trades": 2, "quote_volume": 2, "gain": 1, "loss": 1, "volume": 3}.items():
        found = [row["symbol"] for row in api.get("/top", by=by).json()]
        assert len(found) == ranked
        assert ("BTC-USD" in found) == (by == "volume")
    newest = next(row for row in api.get("/crypto_24h_stats").json() if row["symbol"] == "BTC-USD")
    assert {name for name, value in newest.items() if value is None} == {*nothing, "open_time_ms", "close_time_ms"}


def test_signals_without_quote_volumes_lack_only_the_vwap(api: Api) -> None:
    api.tables.rows["klines"] = rows("klines", 80, 60_000, interval="1m", quote_volume=None, trade_count=None)
    (newest,) = api.get("/signals", symbol="BTCUSDT", limit=1).json()
    assert [name for name, value in newest.items() if value is None] == ["vwap_20"]


def test_signals_and_volatility_have_one_row_per_candle(api: Api) -> None:
    signals = api.get("/signals", symbol="BTCUSDT", limit=5).json()
    assert len(signals) == 5
    assert all(row["sma_50"] is not None and 0 <= Decimal(row["rsi_14"]) <= 100 for row in signals)
    assert api.get("/signals", symbol="BTCUSDT", limit=1000).json()[-1]["sma_20"] is None  # too early
    assert api.get("/signals", symbol="BTCUSDT", limit=1000).json()[:5] == signals
    history = api.get("/volatility", symbol="BTCUSDT", window=20, limit=5).json()
    (newest_of_all,) = api.get("/volatility", window=20).json()
    assert newest_of_all == history[0]


def test_a_best_quote_has_spread_and_mid_unless_a_side_is_empty() -> None:
    both = {"bid_price": Decimal("99.50"), "ask_price": Decimal("100.00")}
    quotes = newest("best_quotes", BTCUSDT=both, ETHUSDT={"bid_price": None, "ask_price": Decimal("5")})
    api = Api(Tables({"best_quotes": quotes, "newest_quotes": quotes}))
    first, second = api.get("/best_quotes").json()
    assert (first["spread"], first["mid"]) == ("0.50", "99.75")
    assert (second["bid_price"], second["spread"], second["mid"]) == (None, None, None)
    (history,) = api.get("/best_quotes", symbol="BTCUSDT", limit=1).json()
    assert history == first


def test_the_pipeline_has_one_row_per_table_and_one_for_all(api: Api) -> None:
    answer = api.get("/pipeline").json()
    assert answer[0]["table"] == "all"
    assert len(answer) == 1 + len(STREAMS)
    assert len({tuple(row) for row in answer}) == 1, "every row has the same keys"


def test_only_captured_streams_are_served() -> None:
    api = Api(Tables({}), streams=["klines"])
    assert api.get("/klines", symbol="BTCUSDT").status == 200
    assert api.get("/recent_trades", symbol="BTCUSDT").status == 404
    assert "/recent_trades" not in api.app.openapi()["paths"]


def test_every_response_says_whether_the_data_is_simulated(api: Api) -> None:
    for url in ("/latest_prices", "/nowhere", "/klines", "/health"):
        assert api.get(url).headers["x-cryptocdc-source"] == "simulated"
    assert api.get("/health").json()["simulated"] is True
    assert Api(source="exchange").get("/health").json()["simulated"] is False


def test_health_and_rows_are_503_while_cassandra_is_down(api: Api) -> None:
    assert api.get("/health").status == 200
    api.tables.up = False
    assert api.get("/health").status == 503
    answer = api.get("/klines", symbol="BTCUSDT")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "Cassandra" in answer.json()["errors"][0]["message"]


def test_the_api_documentation_describes_every_column_and_loads_nothing_external(api: Api) -> None:
    document = api.get("/openapi.json").json()
    described = document["paths"]["/klines"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    columns = described["items"]["properties"]
    (candle,) = api.get("/klines", symbol="BTCUSDT", limit=1).json()
    assert set(candle) == set(columns)
    page = api.get("/docs").body.decode()
    assert all(f"GET {path}" in page for path in document["paths"])
    assert "http" not in page.replace("http-equiv", "")
    assert "simulated" in page


def test_the_newest_order_books_have_totals_instead_of_levels(api: Api) -> None:
    (only,) = api.get("/order_book/newest").json()
    book = api.get("/order_book", symbol="BTCUSDT", limit=1).json()[0]
    shares = {"bid_percent": "66.6666666667", "ask_percent": "33.3333333333"}
    assert only == {name: value for name, value in book.items() if not isinstance(value, list)} | shares


def test_the_newest_order_books_are_filtered_by_symbol(api: Api) -> None:
    assert [book["symbol"] for book in api.get("/order_book/newest", symbols="ETHUSDT,BTCUSDT").json()] == ["BTCUSDT"]
    assert api.get("/order_book/newest", symbols="ETHUSDT").json() == []
    assert api.get("/order_book/newest", symbols="NOSUCH").status == 404


def test_realized_volatility_is_filtered_by_interval(api: Api) -> None:
    found = api.get("/realized_volatility", symbol="BTCUSDT").json()
    assert [row["interval"] for row in found] == ["1m", "1m"]
    assert set(found[0]) >= {"realized", "parkinson", "part_count"}
    assert api.get("/realized_volatility", symbol="BTCUSDT", interval="5s").status == 404


def test_the_history_of_book_metrics_is_served(api: Api) -> None:
    found = api.get("/book_metrics", symbol="BTCUSDT").json()
    assert len(found) == 3
    assert set(found[0]) >= {"spread", "mid", "microprice", "imbalance_1", "imbalance_20", "bucket_time_ms"}


def test_bars_are_filtered_by_interval_which_defaults_to_the_feeds_first(api: Api) -> None:
    found = api.get("/bars", symbol="BTCUSDT").json()
    assert {bar["interval"] for bar in found} == {"5s"}
    assert set(found[0]) >= {"vwap", "imbalance", "buy_volume", "open_time_ms"}
    assert [bar["interval"] for bar in api.get("/bars", symbol="BTCUSDT", interval="1m").json()] == ["1m"]
    refused = api.get("/bars", symbol="BTCUSDT", interval="15s")
    assert (refused.status, refused.json()["errors"][0]["accepted"]) == (404, "5s, 1m")
    assert api.get("/bars", symbol="BTCUSDT", interval="5x").status == 400


def test_intervals_returns_the_feeds_intervals(api: Api) -> None:
    assert api.get("/intervals").json() == [{"interval": "1m"}, {"interval": "1h"}]


def test_price_trends_are_the_closes_of_several_symbols_oldest_first(api: Api) -> None:
    found = api.get("/price_trends", symbols="btcusdt,ETHUSDT").json()
    assert [row["close"] for row in found if row["symbol"] == "BTCUSDT"] == [str(100 + n % 7) for n in range(80)]
    assert found == api.get("/price_trends?symbols=BTCUSDT&symbols=ETHUSDT").json()
    assert len(api.get("/price_trends", symbols="BTCUSDT", from_=found[70]["open_time"]).json()) == 10
    assert api.get("/price_trends", symbols="BTCUSDT,NOSUCH").json()["errors"][0]["value"] == "NOSUCH"
    assert api.get("/price_trends", symbols="BTC USDT").json()["errors"][0]["field"].startswith("symbols")
    assert api.get("/price_trends").status == 400


def test_the_range_of_a_candle_is_a_percentage_of_its_open(api: Api) -> None:
    found = api.get("/volatility", symbol="BTCUSDT", interval="1m", limit=1).json()
    assert found[0]["range_percent"] == "0"


def test_a_heatmap_bin_includes_the_sum_of_both_sides(api: Api) -> None:
    found = api.get("/heatmap", symbol="BTCUSDT").json()
    assert (found[0]["bid_quantity"], found[0]["quantity"]) == ("0.35130000", "0.70260000")
