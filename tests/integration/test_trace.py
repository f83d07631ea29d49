"""One row traced through every hop of the platform, by the command and the API; and where a trace ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cassandra.cluster import Session

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.run import Run
from tests.integration.api_client import ask, healthy
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import ALL_STREAMS, CAPTURED, feed_document, starter
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOL = "BTCUSDT"
HOPS = ["exchange", "producer", "postgres", "kafka", "cassandra"]
FRAMES = {
    "recentTrades": "btcusdt@aggTrade", "klines": "btcusdt@kline_1m", "crypto24hStats": "btcusdt@ticker",
    "latestPrices": "btcusdt@miniTicker", "orderBook": "btcusdt@depth@100ms", "bestQuotes": "btcusdt@bookTicker",
}  # fmt: skip


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(feed_document("traced", [SYMBOL])) as run,
    ):
        wait_for("the API", lambda: healthy(run.address))
        wait_for("trades", lambda: ask(run.address, "/recent_trades", symbol=SYMBOL).json())
        yield run


@pytest.fixture(scope="module")
def file(it: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("feeds") / "traced.yaml"
    made.write_text(yaml.safe_dump(it.applied.document), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def cql(it: Run) -> Iterator[Session]:
    cluster, session = cassandra.connect(it.servers.cassandra, it.plan.names.keyspace)
    yield session
    cluster.shutdown()


def keyed(found: dict[str, Any]) -> list[str]:
    return [f"--key={name}={value}" for name, value in found["key"].items() if name != "symbol"]


class Tracing:
    def __init__(self, environment: dict[str, str], file: Path) -> None:
        self._environment, self._file = environment, file

    def __call__(self, *more: object) -> Answer:
        return cryptocdc(self._environment, "trace", "-f", self._file, "--symbol", SYMBOL, *more)


@pytest.fixture
def trace(command_environment: dict[str, str], file: Path) -> Tracing:
    return Tracing(command_environment, file)


@pytest.mark.parametrize("stream", list(ALL_STREAMS))
def test_the_next_row_is_traced_from_its_frame_to_cassandra(trace: Tracing, it: Run, stream: str) -> None:
    answer = trace("--stream", stream, "--json", "--limit", 60)
    assert answer.code == 0, answer.err
    found = answer.json()
    assert [hop["hop"] for hop in found["hops"]] == HOPS
    assert all(hop["at"] for hop in found["hops"])
    exchange, _, postgres, kafka, written = (hop["facts"] for hop in found["hops"])
    assert exchange["channel"] == FRAMES[stream]
    assert json.loads(exchange["frame"])["stream"] == FRAMES[stream]
    assert postgres["xmin"] > 0
    assert (postgres["version"], "/" in postgres["lsn"]) == (written["writetime"], True)
    assert kafka["topic"] == it.plan.names.change_topic(found["table"])
    assert written["read_back"] >= found["hops"][0]["at"]
    several = stream == "orderBook"  # frames make a row of it
    assert found["compared"] == [*([] if several else ["exchange"]), "postgres", "kafka", "cassandra"]
    assert found["equal"] is True
    assert (found["ends_at"], found["reason"], found["source"]) == ("cassandra", "", "simulated")


def test_the_api_returns_the_same_for_the_same_row(trace: Tracing, it: Run) -> None:
    found = trace("--json").json()
    answer = ask(it.address, "/trace", table="recent_trades", **found["key"])
    assert answer.status_code == 200, answer.text
    returned = answer.json()
    for name in ("table", "symbol", "key", "equal", "took_ms"):
        assert returned[name] == found[name]
    for ours, theirs in zip(found["hops"], returned["hops"], strict=True):
        assert (ours["hop"], ours["at"]) == (theirs["hop"], theirs["at"])
    assert returned["hops"][3]["facts"] == found["hops"][3]["facts"]
    assert returned["hops"][2]["facts"]["lsn"] == found["hops"][2]["facts"]["lsn"]
    assert returned["values"] == {place: row for place, row in found["values"].items() if place != "postgres"}
    assert returned["compared"] == ["kafka", "cassandra"]


@pytest.mark.parametrize("table", [stream.table for stream in CAPTURED])
def test_the_newest_row_of_every_table_is_traced_by_the_api(it: Run, table: str) -> None:
    found = wait_for("a row", lambda: ask(it.address, "/trace", table=table, symbol=SYMBOL).json().get("hops"))
    assert all(hop["at"] for hop in found)
    assert found[3]["facts"]["partition"] >= 0


def test_a_past_row_is_found_by_its_key_and_requested_from_the_exchange_again(trace: Tracing) -> None:
    earlier = trace("--json").json()
    answer = trace(*keyed(earlier))
    assert answer.code == 0, answer.err
    for words in ("SIMULATED DATA", "aggTrades?symbol=BTCUSDT&fromId=", "xmin", "offset", "WRITETIME".lower()):
        assert words in answer.out
    assert "equal digit by digit: frame, PostgreSQL, Kafka, Cassandra" in answer.out


def test_the_trace_of_a_row_missing_from_cassandra_ends_at_kafka(trace: Tracing, it: Run, cql: Session) -> None:
    found = trace("--json").json()
    key, bucket = found["key"], found["hops"][4]["facts"]["hour"]
    where = f"symbol = '{SYMBOL}' AND hour = '{bucket}' AND trade_time = '{key['trade_time']}'"
    cql.execute(
        f"DELETE FROM recent_trades USING TIMESTAMP {found['hops'][2]['facts']['version'] + 1}"
        f" WHERE {where} AND trade_id = {key['trade_id']}"
    )
    answer = trace(*keyed(found), "--limit", 1, "--json")
    assert answer.code == 1
    lost = answer.json()
    assert lost["ends_at"] == "kafka"
    assert "not in Cassandra: the consumers have passed it" in lost["reason"]
    assert lost["hops"][3]["facts"] == found["hops"][3]["facts"]
    assert (lost["hops"][4]["at"], lost["equal"]) == (None, False)
    returned = ask(it.address, "/trace", table="recent_trades", **key).json()
    assert (returned["equal"], returned["compared"]) == (False, ["kafka"])
    shown = trace(*keyed(found), "--limit", 1)
    assert "ends at Kafka" in shown.out


def test_a_digit_changed_in_cassandra_is_named(trace: Tracing, it: Run, cql: Session) -> None:
    found = trace("--json").json()
    key, bucket = found["key"], found["hops"][4]["facts"]["hour"]
    cql.execute(
        f"UPDATE recent_trades SET price = 1.5 WHERE symbol = '{SYMBOL}' AND hour = '{bucket}'"
        f" AND trade_time = '{key['trade_time']}' AND trade_id = {key['trade_id']}"
    )
    answer = trace(*keyed(found), "--json")
    assert answer.code == 1
    assert answer.json()["differing"] == {"cassandra": ["price"]}
    assert ask(it.address, "/trace", table="recent_trades", **key).json()["differing"] == {"cassandra": ["price"]}


@pytest.mark.parametrize(
    ("more", "returned"),
    [
        (["--stream", "trades"], "--stream: 'trades' is not accepted; accepted: recentTrades"),
        (["--key", "trade_id=1"], "--key trade_time: is missing"),
        (["--key", "bucket_time=1"], "--key: 'bucket_time=1' is not accepted; accepted: trade_time"),
        (["--symbol", "NOSUCH"], "--symbol: 'NOSUCH' is not accepted; accepted: BTCUSDT"),
        (["--source", "elsewhere"], "--source: 'elsewhere' is not accepted"),
    ],
)
def test_bad_input_is_refused_with_what_is_accepted(trace: Tracing, more: list[str], returned: str) -> None:
    answer = trace(*more)
    assert answer.code == 2
    assert returned in answer.err


def test_without_consumers_a_row_waits_in_kafka_and_without_producers_none_comes(trace: Tracing, it: Run) -> None:
    it.programs.stop("consumer")
    answer = trace("--json", "--limit", 15)
    assert answer.code == 1
    waits = answer.json()
    assert (waits["ends_at"], waits["compared"]) == ("kafka", ["exchange", "postgres", "kafka"])
    assert "is one running?" in waits["reason"]
    it.stop_capture()
    silent = trace("--json", "--limit", 5)
    assert silent.code == 1
    assert silent.json()["ends_at"] == "exchange"
    assert "is a producer running?" in silent.json()["reason"]
