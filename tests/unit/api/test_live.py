"""New rows pushed: which client gets which rows, in which shape, and what happens to a slow client."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest.mock import Mock

import msgspec
import pytest
from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition
from tests.unit.api.doubles import Api, Tables
from tests.unit.api.rows import rows
from tests.unit.consumer.records import change

from cryptocdc_api.live import changes as module
from cryptocdc_api.live.changes import Changes, rows_maker
from cryptocdc_api.live.subscriptions import Client, Subscriptions
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import KafkaSettings

TABLES = frozenset({"recent_trades", "klines"})


@dataclass
class Message:
    """A message as Kafka's client returns it."""

    of: str
    raw: bytes

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def error(self) -> None:
        return None

    def value(self) -> bytes:
        return self.raw


def test_a_change_is_pushed_in_the_form_of_the_table_s_rows() -> None:
    table, symbol, text = rows_maker(RECENT_TRADES)(change(RECENT_TRADES, price="0.35130000", trade_id=12)) or (
        "",
        "",
        b"",
    )
    assert (table, symbol) == ("recent_trades", "BTCUSDT")
    pushed = msgspec.json.decode(text)
    assert (pushed["table"], pushed["op"], pushed["price"], pushed["trade_id"]) == (
        "recent_trades",
        "c",
        "0.35130000",
        12,
    )
    api = Api(Tables({"recent_trades": rows("recent_trades", 1)}))
    (asked,) = api.get("/recent_trades", symbol="BTCUSDT").json()
    assert set(pushed) - set(asked) == {"table", "op"}
    assert set(asked) <= set(pushed)


def test_of_a_deleted_row_only_the_key_is_pushed() -> None:
    made = rows_maker(KLINES)(change(KLINES, "d"))
    assert made is not None
    assert set(msgspec.json.decode(made[2])) == {"table", "op", "symbol", "interval", "open_time", "open_time_ms"}


@pytest.mark.parametrize("value", [None, b"", b"{}", b"not json"])
def test_records_that_are_not_changes_are_skipped(value: bytes | None) -> None:
    assert rows_maker(KLINES)(value) is None


def test_an_undisplayable_change_is_counted_and_the_others_are_pushed() -> None:
    """PostgreSQL and Kafka hold times past the year 9999; Python, which makes the JSON, does not."""
    topic, metrics = "majors.majors.klines", ApiMetrics("0")
    changes = Changes(KafkaSettings(), {topic: KLINES}, metrics)
    found = changes._rows([
        Message(topic, change(KLINES, symbol=symbol, **values))  # type: ignore[arg-type]
        for symbol, values in (("A", {}), ("B", {"close_time": 400_000_000_000_000}), ("C", {}))
    ])  # fmt: skip
    assert [(table, symbol) for table, symbol, _ in found] == [("klines", "A"), ("klines", "C")]
    assert metrics.registry.get_sample_value("cryptocdc_api_live_failed_total", {"table": "klines"}) == 1


def test_each_client_gets_what_it_subscribed_to_and_only_that_is_read_from_kafka() -> None:
    wanted: list[frozenset[str]] = []
    subscriptions = Subscriptions(wanted.append)
    trades = Client(frozenset({"recent_trades"}), frozenset({"BTCUSDT"}))
    everything = Client(TABLES, frozenset())

    async def test() -> tuple[Any, Any]:
        subscriptions.add(trades)
        subscriptions.add(everything)
        put = subscriptions.publish(
            [("recent_trades", "BTCUSDT", b"1"), ("recent_trades", "ETHUSDT", b"2"), ("klines", "BTCUSDT", b"3")]
        )
        assert put == {"recent_trades": 3, "klines": 1}
        return msgspec.json.decode(await trades.take()), msgspec.json.decode(await everything.take())

    assert asyncio.run(test()) == ([1], [1, 2, 3])
    subscriptions.remove(everything)
    subscriptions.remove(trades)
    assert wanted == [{"recent_trades"}, TABLES, {"recent_trades"}, set()]


def test_a_client_that_missed_a_row_gets_no_later_ones() -> None:
    client = Client(TABLES, frozenset(), capacity=2)
    assert [client.put(b"%d" % number) for number in range(4)] == [True, True, False, False]
    assert client.overflowed.is_set()


def test_a_socket_announces_what_it_serves_and_then_sends_rows() -> None:
    async def test() -> None:
        api = Api()
        async with api.socket("/live?streams=recent_trades&symbols=btcusdt,ETHUSDT") as socket:
            assert (await socket.message())["type"] == "websocket.accept"
            assert await socket.json() == {
                "source": "simulated", "streams": ["recent_trades"], "symbols": ["BTCUSDT", "ETHUSDT"],
            }  # fmt: skip
            api.subscriptions.publish([("recent_trades", "BTCUSDT", b'{"trade_id":1}'), ("klines", "BTCUSDT", b"{}")])
            assert await socket.json() == [{"trade_id": 1}]
        assert len(api.subscriptions) == 0

    asyncio.run(test())


def test_a_slow_client_is_disconnected_with_the_reason() -> None:
    async def test() -> None:
        api = Api()
        async with api.socket("/live?streams=klines") as socket:
            await socket.message()
            await socket.json()
            (client,) = api.subscriptions._clients
            client.overflowed.set()
            closed = await socket.message()
        assert (closed["type"], closed["code"]) == ("websocket.close", 1013)
        assert "too slow" in closed["reason"]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("streams=trades", "recent_trades"), ("symbols=BTC/USDT", "BTCUSDT,ETHUSDT"),
        ("stream=klines", "streams, symbols"),
        ("symbols=" + ",".join(f"S{n}" for n in range(201)), "200 at most"),
    ],
)  # fmt: skip
def test_a_socket_with_an_invalid_subscription_is_closed_with_the_reason(query: str, reason: str) -> None:
    async def test() -> dict[str, Any]:
        async with Api().socket(f"/live?{query}") as socket:
            await socket.message()
            return await socket.message()

    closed = asyncio.run(test())
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    assert reason in closed["reason"]


def test_a_browser_passes_its_token_as_a_subprotocol() -> None:
    async def first(**scope: Any) -> dict[str, Any]:
        async with Api(settings={"token": "s3cret"}).socket("/live", **scope) as socket:
            return await socket.message()

    assert asyncio.run(first())["type"] == "websocket.close"
    assert asyncio.run(first(subprotocols=["bearer.other"]))["type"] == "websocket.close"
    accepted = asyncio.run(first(subprotocols=["bearer.s3cret"]))
    assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "bearer.s3cret")
    assert asyncio.run(first(headers={"Authorization": "Bearer s3cret"}))["type"] == "websocket.accept"


def test_a_token_with_characters_that_a_subprotocol_lacks_is_passed_percent_encoded() -> None:
    async def first() -> dict[str, Any]:
        async with Api(settings={"token": "a/b+c="}).socket("/live", subprotocols=["bearer.a%2Fb%2Bc%3D"]) as socket:
            return await socket.message()

    assert asyncio.run(first())["type"] == "websocket.accept"


@pytest.mark.parametrize(("offered", "status"), [("bearer.other", "403"), ("bearer.s3cret", "101")])
def test_a_refused_socket_is_not_counted_as_a_failure_of_the_server(offered: str, status: str) -> None:
    api = Api(settings={"token": "s3cret"})

    async def first() -> None:
        async with api.socket("/live", subprotocols=[offered]) as socket:
            await socket.message()

    asyncio.run(first())
    text = api.get("/metrics", {"Authorization": "Bearer s3cret"}).body.decode()
    counted = [line for line in text.splitlines() if line.startswith("cryptocdc_api_requests_total{")]
    assert len(counted) == 1
    assert f'status="{status}"' in counted[0]


class Away:
    """Kafka's consumer while all brokers are down: it returns nothing, not even an error."""

    def __init__(self, stop: threading.Event) -> None:
        self.down = False
        self.since_ms: set[int] = set()
        self._stop, self._rounds = stop, 0

    def consume(self, most: int, timeout_s: float) -> list[Any]:
        self._rounds += 1
        if self._rounds > 4:
            self._stop.set()
        return []

    def list_topics(self, topic: str, timeout: float) -> Any:
        if self.down:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return Mock(topics={topic: Mock(error=None, partitions={0: None})})

    def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Each partition ends at 9, and 0 has records since 7."""
        if asked[0].offset == OFFSET_END:
            return [TopicPartition(at.topic, at.partition, 9) for at in asked]
        self.since_ms = {at.offset for at in asked}
        return [TopicPartition(at.topic, at.partition, OFFSET_END if at.partition else 7) for at in asked]

    def incremental_assign(self, _: Any) -> None:
        self.down = True

    def close(self) -> None:
        pass


@pytest.mark.parametrize("wanted", [True, False])
def test_an_unreachable_kafka_is_an_obstacle_while_live_rows_are_wanted(
    monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    stop = threading.Event()
    changes = Changes(KafkaSettings(), {"f.f.klines": KLINES}, ApiMetrics("0"))
    changes._consumer = Away(stop)
    changes.want(frozenset({"klines"} if wanted else ()))
    turns = iter(range(6))
    changes.run(stop, lambda _: None, lambda: stop.set() if next(turns) == 5 else None)
    if wanted:
        assert "no live rows: Kafka" in (changes.obstacle() or "")
    else:
        assert changes.obstacle() is None


class OfOneTopic(Away):
    """Kafka's consumer while one of the feed's topics does not exist yet."""

    def __init__(self, stop: threading.Event, missing: str) -> None:
        super().__init__(stop)
        self.missing = missing
        self.read: list[str] = []

    def list_topics(self, topic: str, timeout: float) -> Any:
        error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART) if topic == self.missing else None
        return Mock(topics={topic: Mock(error=error, partitions={} if error else {0: None})})

    def incremental_assign(self, partitions: Any) -> None:
        self.read += [partition.topic for partition in partitions]


@pytest.mark.parametrize(("missing", "obstacle"), [("f.f.klines", "no live rows of klines: Kafka: "), ("", None)])
def test_a_missing_topic_does_not_hold_up_the_rows_of_others(
    monkeypatch: pytest.MonkeyPatch, missing: str, obstacle: str | None
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    stop, turns = threading.Event(), iter(range(9))
    topics = {"f.f.klines": KLINES, "f.f.recent_trades": RECENT_TRADES}
    changes = Changes(KafkaSettings(), topics, ApiMetrics("0"))
    changes._consumer = consumer = OfOneTopic(stop, missing)
    changes.want(TABLES)
    changes.run(stop, lambda _: None, lambda: stop.set() if next(turns) == 8 else None)
    assert consumer.read == sorted(topics.keys() - {missing})
    assert (changes.obstacle() or "").startswith(obstacle or "")
    assert bool(changes.obstacle()) == bool(obstacle)


def test_a_missing_topic_that_nobody_wants_any_more_is_no_obstacle() -> None:
    stop = threading.Event()
    changes = Changes(KafkaSettings(), {"f.f.klines": KLINES, "f.f.recent_trades": RECENT_TRADES}, ApiMetrics("0"))
    changes._consumer = OfOneTopic(stop, "f.f.klines")
    changes.want(TABLES)
    wanted = iter([TABLES, TABLES, frozenset({"recent_trades"})])
    changes.run(stop, lambda _: None, lambda: changes.want(next(wanted, frozenset({"recent_trades"}))))
    assert changes.obstacle() is None


def test_rows_between_the_stored_ones_that_the_first_client_reads_and_the_live_ones_are_not_missed() -> None:
    class TwoPartitions(Away):
        assigned: ClassVar[list[tuple[int, int]]] = []

        def list_topics(self, topic: str, timeout: float) -> Any:
            return Mock(topics={topic: Mock(error=None, partitions={0: None, 1: None})})

        def incremental_assign(self, partitions: Any) -> None:
            self.assigned.extend((partition.partition, partition.offset) for partition in partitions)

    stop, turns = threading.Event(), iter(range(3))
    changes = Changes(KafkaSettings(), {"f.f.klines": KLINES}, ApiMetrics("0"))
    changes._consumer = consumer = TwoPartitions(stop)
    changes.want(frozenset({"klines"}))
    before_ms = time.time_ns() // 1_000_000
    changes.run(stop, lambda _: None, lambda: stop.set() if next(turns) == 2 else None)
    (since_ms,) = consumer.since_ms
    assert before_ms <= since_ms + module.BEFORE_MS <= time.time_ns() // 1_000_000
    assert consumer.assigned == [(0, 7), (1, 9)]


def test_a_partition_without_a_leader_does_not_hold_up_the_rows_of_others() -> None:
    class WithoutLeader(OfOneTopic):
        def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))

    stop, turns = threading.Event(), iter(range(3))
    changes = Changes(KafkaSettings(), {"f.f.klines": KLINES}, ApiMetrics("0"))
    changes._consumer = consumer = WithoutLeader(stop, "")
    changes.want(frozenset({"klines"}))
    changes.run(stop, lambda _: None, lambda: stop.set() if next(turns) == 2 else None)
    assert consumer.read == ["f.f.klines"]
