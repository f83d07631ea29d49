"""Offsets follow acknowledgements; a slow sink pauses reading; unacknowledged records are never committed."""

import threading

import pytest
from confluent_kafka import TopicPartition

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_consumer.dead_letters import DeadLetters
from cryptocdc_consumer.sink import IN_FLIGHT, Sink
from cryptocdc_consumer.write_loop import GATHER_LIMIT_S, GATHER_SHARE, PAUSE_AFTER_S, WriteLoop
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.program.metrics import ConsumerMetrics

from .fakes import Cassandra, Clock, Kafka, Topic
from .records import NOW_MS, Record, change, intake

TOPIC = "f.f.recent_trades"


class House:
    """A write loop with everything around it."""

    def __init__(self):
        self.clock, self.kafka, self.cassandra, self.topic = Clock(), Kafka(), Cassandra(), Topic()
        self.metrics = ConsumerMetrics("test")
        it, self.prepared, _ = intake()
        self.health = Health(30, self.clock)
        self.member = True
        self.loop = WriteLoop(
            self.kafka,
            it,
            Sink(self.cassandra.send, self.metrics, self.clock, self.clock),
            DeadLetters(self.topic, "f.dlq", "f", self.metrics),
            self.metrics,
            self.health,
            lambda: self.member,
            self.clock,
            self.clock,
        )
        self.assign(0, 1)

    def assign(self, *partitions):
        self.kafka.assigned = [TopicPartition(TOPIC, p) for p in partitions]
        self.loop._on_assign(self.kafka, self.kafka.assigned)

    def come(self, *offsets, partition=0, symbol="BTCUSDT"):
        for at in offsets:
            raw = change(RECENT_TRADES, trade_id=at, symbol=symbol)
            self.kafka.queue.append(Record(RECENT_TRADES, raw, at, partition))

    def step(self, times=1):
        for _ in range(times):
            self.loop.step()
            self.clock.now += 0.6  # past the commit's interval

    def ids(self):
        return sorted(self.prepared.read(raw).values["trade_id"] for raw in self.cassandra.written)


@pytest.fixture
def house():
    return House()


def test_an_offset_is_committed_only_after_the_acknowledgement(house):
    house.come(0, 1, 2)
    house.step(5)
    assert house.cassandra.sent == 1
    assert house.kafka.offsets == {}
    house.cassandra.answer()
    house.step(2)
    assert house.kafka.offsets == {(TOPIC, 0): 3}
    assert house.ids() == [0, 1, 2]


def test_a_later_chunk_is_committed_only_after_the_earlier_ones(house):
    house.come(0)
    house.step()
    first = house.cassandra._asked.pop()
    house.come(1)
    house.step()
    house.cassandra.answer()
    house.step(2)
    assert house.kafka.offsets == {}
    first[1](None)
    house.step(2)
    assert house.kafka.offsets == {(TOPIC, 0): 2}


def test_a_dead_letter_holds_its_offset_until_kafka_has_it(house):
    house.topic.down = True
    house.kafka.queue.append(Record(RECENT_TRADES, b"junk", 7, 1))
    house.come(0)
    house.step()
    house.cassandra.answer()
    house.step(3)
    assert house.kafka.offsets == {}
    house.topic.down = False
    house.step(3)
    assert house.kafka.offsets == {(TOPIC, 0): 1, (TOPIC, 1): 8}
    letter = house.topic.letters[0]
    assert (letter["topic"], letter["value"], letter["key"]) == ("f.dlq", b"junk", b'{"symbol":"BTCUSDT"}')
    assert {name: value for name, value in letter["headers"].items() if name != "cryptocdc.reason"} == {
        "cryptocdc.feed": b"f", "cryptocdc.topic": TOPIC.encode(), "cryptocdc.partition": b"1",
        "cryptocdc.offset": b"7",
    }  # fmt: skip
    assert letter["headers"]["cryptocdc.reason"].startswith(b"undecodable")


def test_a_row_that_cassandra_refuses_is_a_dead_letter_and_its_neighbours_are_written(house):
    house.come(0, 1, 2)
    house.step()
    rows = [raw for raw in house.cassandra._asked[0][0] if house.prepared.read(raw).values["trade_id"] == 1]
    house.cassandra.refuses = set(rows)
    for _ in range(5):
        house.cassandra.answer()
        house.step()
    assert house.ids() == [0, 2]
    assert [letter["headers"]["cryptocdc.offset"] for letter in house.topic.letters] == [b"1"]
    assert house.kafka.offsets == {(TOPIC, 0): 3}


def test_a_slow_sink_pauses_reading_but_polling_continues(house):
    for chunk in range(IN_FLIGHT + 5):
        house.come(chunk)
        house.step()
    assert house.cassandra.sent == IN_FLIGHT
    house.clock.now += PAUSE_AFTER_S
    house.step()
    assert house.kafka.paused
    polls = house.kafka.polls
    house.step(3)
    assert house.kafka.polls == polls + 3
    assert house.cassandra.sent == IN_FLIGHT
    house.cassandra.answer()
    house.step(2)
    assert not house.kafka.paused
    house.cassandra.answer()
    house.step(3)
    house.cassandra.answer()
    house.step(3)
    assert house.ids() == list(range(IN_FLIGHT + 5))
    assert house.kafka.offsets == {(TOPIC, 0): IN_FLIGHT + 5}


def test_lag_grows_while_reading_pauses(house):
    house.come(0)
    house.step()
    house.cassandra.answer()
    house.step()
    for at in range(1, IN_FLIGHT + 6):
        house.come(at)
        house.step()
    house.clock.now += PAUSE_AFTER_S
    house.step()
    assert house.kafka.paused
    house.kafka.end = 5_000
    house.step(10)
    assert lag(house) == 4_999
    house.kafka.down = True
    house.step(10)
    assert lag(house) == 4_999


def test_lag_is_known_before_anything_is_written(house):
    """For example after a restart while Cassandra is down."""
    house.kafka.earlier[TOPIC, 0] = 40
    house.kafka.end = 100
    house.come(40)
    house.step(10)
    assert house.ids() == []
    assert lag(house) == 60


def lag(house):
    return house.metrics.registry.get_sample_value("cryptocdc_consumer_lag_records", {"topic": TOPIC, "partition": "0"})


def test_a_record_received_while_paused_is_not_lost(house):
    for at in range(IN_FLIGHT):
        house.come(at)
        house.step()
    house.step()
    house.clock.now += PAUSE_AFTER_S
    house.step()
    house.kafka.paused = False  # the client had already fetched it
    house.come(IN_FLIGHT)
    house.loop._pause = lambda paused: None
    house.step()
    assert not house.kafka.queue
    del house.loop._pause
    for _ in range(4):
        house.cassandra.answer()
        house.step()
    assert house.ids() == list(range(IN_FLIGHT + 1))


def test_a_revoked_partition_is_drained_and_committed_first(house):
    house.come(0)
    house.come(5, partition=1, symbol="ETHUSDT")
    house.step()
    wait = house.loop._sink.wait
    house.loop._sink.wait = lambda timeout: (house.cassandra.answer(), wait(0))
    house.loop._on_revoke(house.kafka, [TopicPartition(TOPIC, 1)])
    assert house.kafka.commits == [{(TOPIC, 1): 6}]
    assert house.kafka.waited == [True]


def test_only_acknowledged_offsets_of_a_revoked_partition_are_committed(house):
    house.come(0)
    house.step()

    def no_answer(timeout):
        house.clock.now += timeout

    house.loop._sink.wait = no_answer
    house.loop._on_revoke(house.kafka, [TopicPartition(TOPIC, 0)])
    assert house.kafka.commits == []
    house.cassandra.answer()
    house.step(3)
    assert house.kafka.commits == [], "it is another member's now"


def test_a_lost_partition_is_never_committed(house):
    house.come(0)
    house.step()
    house.loop._on_lost(house.kafka, [TopicPartition(TOPIC, 0)])
    house.cassandra.answer()
    house.step(3)
    assert house.kafka.commits == []


def test_a_failed_commit_is_repeated(house):
    house.come(0)
    house.step()
    house.cassandra.answer()
    house.step(2)
    assert len(house.kafka.commits) == 1
    house.loop.on_commit("coordinator gone", [TopicPartition(TOPIC, 0, 1)])
    house.step(2)
    assert house.kafka.commits == [{(TOPIC, 0): 1}] * 2


def test_stop_writes_and_commits_everything_read(house):
    house.come(0, 1)
    stop = threading.Event()
    step = house.loop.step

    def once():
        step()
        stop.set()

    house.loop.step = once
    wait = house.loop._sink.wait
    house.loop._sink.wait = lambda timeout: (house.cassandra.answer(), wait(0))
    house.loop.run(stop)
    assert house.ids() == [0, 1]
    assert house.kafka.offsets == {(TOPIC, 0): 2}
    assert house.kafka.waited[-1] is True
    assert house.kafka.closed


def test_health_depends_on_progress_not_on_the_loop_running(house):
    house.come(0)
    house.step()
    house.clock.now += 31
    house.step()
    assert house.health.problem() is not None, "Cassandra does not answer"
    house.cassandra.answer()
    house.step()
    assert house.health.problem() is None
    house.clock.now += 29
    house.step()
    assert house.health.problem() is None, "being idle is healthy"
    house.kafka.down = True
    house.clock.now += 29
    house.step(5)
    assert house.health.problem() is not None, "nothing arrives because Kafka is down"


def test_a_reachable_broker_does_not_make_a_consumer_without_a_group_healthy(house):
    """It has no partitions, reads nothing, and `list_topics` succeeds."""
    house.member = False
    house.clock.now += 31
    house.step(20)
    assert house.health.problem() is not None
    house.member = True
    house.clock.now += 10
    house.step()
    assert house.health.problem() is None


def test_latency_is_measured_from_the_event_and_from_the_commit(house):
    house.clock.now = NOW_MS / 1000 + 0.25
    house.come(0)
    house.step()
    house.cassandra.answer()
    house.step()
    for histogram in (house.metrics.event_seconds, house.metrics.commit_seconds):
        assert histogram.labels("recent_trades")._sum.get() >= 0.25
    assert house.metrics.rows.labels("recent_trades")._value.get() == 1


def test_the_removal_of_older_versions_is_not_counted_as_a_row(house):
    for at in range(3):
        raw = change(RECENT_TRADES, "u", trade_id=at, first_trade_id=None)
        house.kafka.queue.append(Record(RECENT_TRADES, raw, at, 0))
    house.step()
    house.cassandra.answer()
    house.step()
    assert len(house.cassandra.written) == 6
    assert house.metrics.rows.labels("recent_trades")._value.get() == 3
    assert house.metrics.deletes.labels("recent_trades")._value.get() == 0


def test_rows_are_gathered_longer_the_later_they_are(house):
    def read(seconds_after):
        house.clock.now = NOW_MS / 1000 + seconds_after
        house.come(0)
        house.step()
        house.cassandra.answer()
        return house.kafka.gathered[-1]

    assert read(0.01) == 0
    assert read(0.5) == 0, "the rows before were fresh"
    assert read(60) == pytest.approx(0.5 * GATHER_SHARE), "the rows before were half a second old"
    assert read(61) == GATHER_LIMIT_S, "the rows before were a minute old"
