"""The API over a real pipeline: its responses equal Cassandra's contents, digit for digit."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import requests
import yaml
from websockets.sync.client import connect as connect_socket

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import HEATMAP, STREAMS
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.machine import port_is_free
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.integration.api_client import Rows, all_rows, ask, command, healthy, rows, served
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, CAPTURED, feed_document, starter
from tests.integration.stored import Written
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
TABLES = [stream.table for stream in CAPTURED]
BACKFILLED = timedelta(minutes=75)
"""Some candles more than an indicator needs, and trades in more than one partition."""


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int, command_environment: dict[str, str]) -> Iterator[Run]:
    """A run that captures, some of the past of BTCUSDT filled in."""
    document = feed_document("api", SYMBOLS, ALL_STREAMS)
    with pytest.MonkeyPatch.context() as patch, starter(platform, simulator_port, patch) as start:
        with start(document, rate=0.25) as run:
            wait_for("the API", lambda: healthy(run.address))
            end = datetime.now(UTC).replace(second=0, microsecond=0)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump(document, file)
                stretch = ["--from", (end - BACKFILLED).isoformat(), "--to", end.isoformat()]
                done = cryptocdc(command_environment, "backfill", "-f", file.name, "--symbol", "BTCUSDT", *stretch)
                assert done.code == 0, done
            filled_ms = time.time() * 1000
            wait_for("every table's rows", lambda: all(filled(run, table) for table in TABLES))
            # Changes come in the order of their commits: after those of the past, in one partition.
            wait_for("the past", lambda: newest_trade(run) > filled_ms, 120)
            yield run
        assert port_is_free(platform.settings.ports.api), "the API went on after its run"


def filled(it: Run, table: str) -> bool:
    return all(ask(it.address, f"/{table}", symbol=symbol, limit=1).json() for symbol in SYMBOLS)


@pytest.fixture(scope="module")
def still(it: Run) -> Run:
    """The same run after its capture was stopped and drained: Cassandra's contents no longer change."""
    it.stop_capture()
    report = prove(it.applied, it.servers, lambda _: None)
    assert report["equal"], report
    return it


# While it captures


def test_live_pushes_exactly_the_committed_rows(it: Run) -> None:
    pushed: Rows = []
    with connect_socket(f"{it.address.replace('http', 'ws')}/live?symbols=BTCUSDT,ETHUSDT") as live:
        hello = json.loads(live.recv(10))
        assert hello == {"source": "simulated", "streams": sorted(TABLES), "symbols": ["BTCUSDT", "ETHUSDT"]}
        deadline = time.monotonic() + 60
        while {row["table"] for row in pushed} != set(TABLES) or len(pushed) < 200:
            assert time.monotonic() < deadline, {row["table"] for row in pushed}
            pushed += json.loads(live.recv(20))

    assert {row["symbol"] for row in pushed} == {"BTCUSDT", "ETHUSDT"}
    trades: dict[str, list[int]] = defaultdict(list)
    for row in pushed:
        if row["table"] == "recent_trades":
            trades[row["symbol"]].append(row["trade_id"])
    for symbol, ids in trades.items():
        assert sorted(ids) == list(range(min(ids), max(ids) + 1)), f"{symbol}: a trade was left out or came twice"
    # A candle, or a second's price, may have moved on since: what can't is compared whole.
    for row in (row for row in pushed if row["table"] in ("recent_trades", "crypto_24h_stats")):
        committed = {name: value for name, value in row.items() if name not in ("table", "op")}
        time_column = STREAMS["recentTrades" if row["table"] == "recent_trades" else "crypto24hStats"].time
        at = row[f"{time_column}_ms"]
        wait_for(
            f"the row in Cassandra: {committed}",
            lambda row=row, at=at, committed=committed: (
                committed  # type: ignore[misc]
                in rows(it.address, f"/{row['table']}", symbol=row["symbol"], from_=at, to=at + 1, limit=1000)
            ),
        )


def test_paging_during_capture_neither_loses_nor_repeats_rows(it: Run) -> None:
    end = int(time.time() * 1000)
    start = end - int(BACKFILLED.total_seconds() * 1000)
    wait_for("all until now", lambda: newest_trade(it) > end, 120)
    stored = trade_ids(it, "BTCUSDT", start, end)
    assert len(stored) > 2000
    query = {"symbol": "BTCUSDT", "from_": start, "to": end}
    for order in ("newest", "oldest"):
        found = [row["trade_id"] for row in all_rows(it.address, "/recent_trades", **query, order=order, limit=997)]
        assert found == (stored[::-1] if order == "newest" else stored)
        streamed = rows(it.address, "/recent_trades", **query, order=order, stream="true")
        assert [row["trade_id"] for row in streamed] == found


def trade_ids(it: Run, symbol: str, start: int, end: int) -> list[int]:
    """Those in PostgreSQL, in order; of `start` and not of `end`, in milliseconds."""
    connection = postgres.connect(it.servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT trade_id FROM {it.plan.names.schema}.recent_trades WHERE symbol = %s"
                " AND trade_time >= to_timestamp(%s / 1000.0) AT TIME ZONE 'UTC'"
                " AND trade_time < to_timestamp(%s / 1000.0) AT TIME ZONE 'UTC' ORDER BY trade_id",
                (symbol, start, end),
            )
            return [row[0] for row in cursor.fetchall()]
    finally:
        connection.close()


def test_the_pipeline_returns_what_the_programs_count(it: Run) -> None:
    def proven() -> Rows:
        """Once every table has a proof, and two readings have shown how fast trades came between them."""
        found = rows(it.address, "/pipeline")
        complete = all(row["proven_through"] for row in found) and found[1]["p99_s"] is not None
        return found if complete else []

    found = {row["table"]: row for row in wait_for("a proof of every table", proven, 120)}
    assert set(found) == {"all", *TABLES}
    counted = it.figures()
    for table in TABLES:
        assert 0 < found[table]["cassandra"] <= counted.streams[table].cassandra
        assert found[table]["kafka"] > 0
        assert found[table]["source"] == "simulated"
    assert found["all"]["symbols"] == len(SYMBOLS)
    assert (found["all"]["dead_letters"], found["all"]["differences"]) == (0, 0)
    assert 0 < found["recent_trades"]["p50_s"] <= found["recent_trades"]["p99_s"]


def test_the_api_is_a_target_of_prometheus(it: Run) -> None:
    groups = json.loads(it.platform.settings.targets(it.plan.names.fid).read_text(encoding="utf-8"))
    (target,) = [group["targets"][0] for group in groups if group["labels"]["program"] == "api"]
    assert "cryptocdc_api_requests_total" in requests.get(f"http://{target}/metrics", timeout=5).text
    assert requests.get(f"http://{target}/healthz", timeout=5).ok


def test_the_api_survives_a_restart_of_cassandra(it: Run) -> None:
    pids = it.programs.pids()
    it.platform.kill("cassandra")
    answer = ask(it.address, "/klines", symbol="BTCUSDT", limit=1)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "Cassandra" in answer.json()["errors"][0]["message"]
    assert ask(it.address, "/health").status_code == 503
    wait_for("Cassandra again", lambda: healthy(it.address), 120)
    wait_for("klines again", lambda: ask(it.address, "/klines", symbol="BTCUSDT", limit=1).ok)
    wait_for("new trades", lambda: newest_trade(it) > time.time() * 1000 - 15_000, 120)
    api = f"{it.plan.names.fid}-api-0"
    assert it.programs.pids()[api] == pids[api]


def newest_trade(it: Run) -> int:
    """Its time in ms; 0 while Cassandra, which has just started, does not answer in time."""
    answer = ask(it.address, "/recent_trades", symbol="BTCUSDT", limit=1)
    return int(answer.json()[0]["trade_time_ms"]) if answer.ok else 0


# Other settings


def test_a_token_is_required_and_can_be_read_from_a_file(it: Run, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    with served(it, api_token_file=secret) as url:
        refused = ask(url, "/latest_prices")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        bearer = {"Authorization": "Bearer s3cret"}
        assert requests.get(f"{url}/latest_prices", headers=bearer, timeout=5).ok
        with connect_socket(f"{url.replace('http', 'ws')}/live", subprotocols=["bearer.s3cret"]) as live:  # type: ignore[list-item]
            assert json.loads(live.recv(10))["source"] == "simulated"


def test_too_frequent_requests_are_limited(it: Run) -> None:
    with served(it, api_requests_per_s=5) as url:
        answers = [ask(url, "/symbols") for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 429)


def test_a_missing_redis_does_not_matter(it: Run) -> None:
    with served(it, api_redis_url="redis://127.0.0.1:1") as url:
        assert {row["symbol"] for row in rows(url, "/latest_prices")} == set(SYMBOLS)
        assert 'cryptocdc_api_redis_total{outcome="error"}' in ask(url, "/metrics").text


def test_a_taken_port_is_named_with_the_remedy(it: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments, environment = command(it, api_port=port)
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done
    assert str(port) in done.stderr
    assert "CRYPTOCDC_API_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/klines", 400, "symbol"), ("/klines?symbol=NOSUCH", 404, "symbol"),
        ("/klines?symbol=BTCUSDT&limit=x", 400, "limit"),
        ("/top?by=size", 400, "by"), ("/nothing", 404, "path"),
    ],
)  # fmt: skip
def test_an_invalid_request_is_answered_with_what_is_accepted(it: Run, path: str, status: int, field: str) -> None:
    answer = requests.get(it.address + path, timeout=5)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["accepted"]


# Once it is still


@pytest.fixture(scope="module")
def written(still: Run) -> Iterator[Written]:
    found = Written(still)
    yield found
    found.cluster.shutdown()


@pytest.mark.parametrize("stream", CAPTURED, ids=lambda stream: stream.table)
def test_every_row_of_a_table_is_returned_to_the_digit(still: Run, written: Written, stream: Any) -> None:
    held: dict[str, Rows] = defaultdict(list)
    for row in written.rows(stream.table, stream.columns):
        held[row["symbol"]].append(row)
    assert set(held) == set(SYMBOLS)
    keys = [f"{name}_ms" if f"{name}_ms" in held[SYMBOLS[0]][0] else name for name in stream.clustering]
    for symbol in SYMBOLS:
        answered = all_rows(still.address, f"/{stream.table}", symbol=symbol, limit=499)
        if stream.table in ("order_book", "best_quotes"):  # with what is computed from their columns
            answered = [{name: row[name] for name in held[symbol][0]} for row in answered]
        expected = sorted(held[symbol], key=lambda row: [row[key] for key in keys], reverse=True)
        assert answered == expected


def test_the_newest_row_of_each_symbol_is_the_newest_stored_one(still: Run, written: Written) -> None:
    for stream in (STREAMS["latestPrices"], STREAMS["crypto24hStats"]):
        held = written.rows(stream.table, stream.columns)
        newest = {s: max((r for r in held if r["symbol"] == s), key=lambda r: r["event_time_ms"]) for s in SYMBOLS}
        wait_for(
            f"the newest of {stream.table}",
            lambda stream=stream, newest=newest: (
                rows(still.address, f"/{stream.table}")  # type: ignore[misc]
                == [newest[symbol] for symbol in SYMBOLS]
            ),
        )


def test_the_heatmap_equals_the_stored_one(still: Run, written: Written) -> None:
    columns = tuple(column for column in HEATMAP.columns if column.name != "hour")
    held = [row for row in written.rows(HEATMAP.table, columns) if row["symbol"] == "BTCUSDT"]
    assert held
    answered = all_rows(still.address, "/heatmap", symbol="BTCUSDT", limit=48)
    order = lambda row: (row["bucket_time_ms"], row["bin"])  # noqa: E731
    for row in answered:
        assert Decimal(row.pop("quantity")) == Decimal(row["bid_quantity"]) + Decimal(row["ask_quantity"])
    assert sorted(answered, key=order) == sorted(held, key=order)
    assert len({order(row) for row in answered}) == len(answered)


def test_an_order_books_figures_follow_from_its_levels(still: Run) -> None:
    (book,) = rows(still.address, "/order_book", symbol="BTCUSDT", limit=1)
    assert (book["best_bid"], book["best_ask"]) == (book["bid_prices"][0], book["ask_prices"][0])
    assert Decimal(book["spread"]) == Decimal(book["best_ask"]) - Decimal(book["best_bid"])
    assert Decimal(book["mid"]) * 2 == Decimal(book["best_ask"]) + Decimal(book["best_bid"])
    bid, ask_ = (sum(map(Decimal, book[f"{side}_quantities"])) for side in ("bid", "ask"))
    assert float(book["imbalance"]) == pytest.approx(float((bid - ask_) / (bid + ask_)))
    levels = rows(still.address, "/order_book/levels", symbol="BTCUSDT")
    assert [row["price"] for row in levels] == [*book["bid_prices"], *book["ask_prices"]]


def test_leaders_are_in_the_order_of_the_stored_statistics(still: Run) -> None:
    stats = rows(still.address, "/crypto_24h_stats")
    for by, column in (("trades", "trade_count"), ("quote_volume", "quote_volume")):
        wanted = sorted(stats, key=lambda row: -Decimal(row[column]))[:2]
        assert rows(still.address, "/top", by=by, n=2) == [{"rank": n, **row} for n, row in enumerate(wanted, 1)]
    change = {row["symbol"]: Decimal(row["price_change_percent"]) for row in stats}
    gained = [row["symbol"] for row in rows(still.address, "/top", by="gain")]
    lost = [row["symbol"] for row in rows(still.address, "/top", by="loss")]
    assert gained == sorted((s for s in change if change[s] > 0), key=lambda s: -change[s])
    assert lost == sorted((s for s in change if change[s] < 0), key=lambda s: change[s])


def test_indicators_follow_from_the_stored_candles(still: Run) -> None:
    candles = all_rows(still.address, "/klines", symbol="BTCUSDT", limit=1000)
    closes = [Decimal(row["close"]) for row in candles]
    signals = rows(still.address, "/signals", symbol="BTCUSDT", limit=5)
    assert [row["open_time"] for row in signals] == [row["open_time"] for row in candles[:5]]
    for at, row in enumerate(signals):
        assert float(row["sma_20"]) == pytest.approx(float(sum(closes[at : at + 20]) / 20))
        assert float(row["sma_50"]) == pytest.approx(float(sum(closes[at : at + 50]) / 50))
        paid = sum(Decimal(candle["quote_volume"]) for candle in candles[at : at + 20])
        assert float(row["vwap_20"]) == pytest.approx(
            float(paid / sum(Decimal(candle["volume"]) for candle in candles[at : at + 20]))
        )
    returns = [float((closes[at] / closes[at + 1]).ln()) for at in range(30)]
    (newest, *_) = rows(still.address, "/volatility", symbol="BTCUSDT", window=30)
    assert float(newest["volatility_percent"]) == pytest.approx(100 * stdev(returns), rel=1e-6)
    of_all = {row["symbol"]: row for row in rows(still.address, "/volatility", window=30)}
    assert set(of_all) == set(SYMBOLS)
    assert of_all["BTCUSDT"] == newest


def test_symbols_and_documentation_are_served(still: Run) -> None:
    assert rows(still.address, "/symbols") == [{"symbol": symbol} for symbol in SYMBOLS]
    paths = ask(still.address, "/openapi.json").json()["paths"]
    assert {f"/{table}" for table in TABLES} < set(paths)
    page = ask(still.address, "/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "simulated" in page.text
