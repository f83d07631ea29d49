"""The loop commits only trades whose bars are in Kafka, and waits where Cassandra must be read."""

from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException, TopicPartition
from tests.unit.analyzer.books import book_change
from tests.unit.analyzer.trades import LENGTHS, START_MS, begin, change_of, trade

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_analyzer.loop import AnalyzerLoop
from cryptocdc_analyzer.stored import StoredRows
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import AnalyzerMetrics
from cryptocdc_core.rows.changes import Decoder
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS

TRADES, BARS = "f.f.recent_trades", "f.f.bars"


def record(at, offset, value):
    given = {"error": None, "topic": at.topic, "partition": at.partition, "offset": offset, "value": value}
    return SimpleNamespace(**{name: lambda found=found: found for name, found in given.items()})


class Broker:
    """Consumer and producer of one partition. `committed` is what the group had committed before, `others` what
    other partitions hold."""

    def __init__(self, committed=-1001, metadata="", low=0, topics=(TRADES, BARS), number=0):
        self.before, self.low, self.high = TopicPartition(topics[0], number, committed, metadata), low, 1_000
        self.result = topics[1]
        self.records, self.commits, self.sent = [], [], []
        self.paused, self.start, self.refuse, self.hold = False, None, None, []
        self.others: dict[tuple[str, int], tuple[int, int]] = {}

    def subscribe(self, topics, on_assign, on_revoke, on_lost):
        self.assign, self.revoke = on_assign, on_revoke

    def committed(self, partitions, timeout):
        return [self.before]

    def get_watermark_offsets(self, at, timeout):
        return self.low, self.high

    def ends(self, topics):
        return {at: span for at, span in self.others.items() if at[0] in topics}

    def incremental_assign(self, starts):
        self.start = starts[0].offset

    def incremental_unassign(self, partitions): ...

    def consume(self, count, timeout):
        if self.paused:
            return []
        given, self.records = self.records, []
        return given

    def pause(self, partitions):
        self.paused = True

    def resume(self, partitions):
        self.paused = False

    def commit(self, offsets, asynchronous):
        self.commits += [(at.offset, at.metadata) for at in offsets]

    def close(self): ...

    def send(self, *values):
        for value in values:
            offset = (self.start or 0) + len(self.records)
            self.records.append(record(self.before, offset, value))

    # The producer.
    def produce(self, topic, value, key, on_delivery):
        assert (topic, key) == (self.result, b'{"symbol":"BTCUSDT"}')
        self.sent.append(Decoder(by_table(topic.rpartition(".")[2])).decode(value))
        self.hold.append(on_delivery)

    def poll(self, timeout): ...

    def flush(self, timeout):
        if self.refuse == "slow":
            return len(self.hold)
        for delivered in self.hold:
            delivered(self.refuse, None)
        self.hold = []
        return 0


class Store:
    def __init__(self, *trades):
        self.kept, self.asked = trades, []

    def trades(self, spans):
        self.asked += spans
        yield from ([one] for one in self.kept)

    def close(self): ...


def loop_of(
    broker, store=None, written=lambda _: {}, since_ms=START_MS - FUTURE_TOLERANCE_MS, analytics=None, begun=True
):
    """`begun`: the symbol was read before."""
    made = AnalyzerLoop(
        broker, broker, Names("f"), Analytics.model_validate(analytics or {"bars": list(LENGTHS)}),
        cast(StoredRows, store or Store()), written, broker.ends, AnalyzerMetrics("0"), Health(60), lambda: True,
        lambda: since_ms,
    )  # fmt: skip
    made._consumer.subscribe([TRADES], made._assigned, made._revoked, made._lost)
    broker.assign(broker, [TopicPartition(broker.before.topic, broker.before.partition)])
    if begun:
        for windows in made._windows.values():
            begin(windows)
    return made


def step(loop):
    loop._ask_at = loop._commit_at = 0
    loop.step()


def test_bars_are_sent_in_the_connector_s_format_and_the_offset_is_committed():
    broker = Broker()
    loop = loop_of(broker)
    assert broker.start == 0
    broker.send(change_of(trade(0)), change_of(trade(1)))
    step(loop)
    assert {(bar.interval, bar.trade_count, bar.op, bar.committed_us) for bar in broker.sent} == {
        (interval, 2, "u", trade(1).committed_us) for interval in LENGTHS
    }
    assert broker.commits == [(2, "bars/1m,bars/5s")]


def test_rows_of_a_partition_that_was_added_are_sent_to_the_partition_of_their_key():
    broker = Broker(number=7)
    loop = loop_of(broker)
    broker.send(change_of(trade(0)))
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [1, 1]
    assert broker.commits == [(1, "bars/1m,bars/5s")]


def test_a_symbols_first_window_waits_for_its_trades_in_other_partitions():
    broker, store, written = Broker(number=7), Store(trade(1), trade(2)), {(TRADES, 7): 1}
    broker.others = {(TRADES, 0): (2, 5), (TRADES, 1): (4, 4)}  # retention has removed all records of one unread
    loop = loop_of(broker, store, lambda _: written, begun=False)
    broker.send(change_of(trade(2)))
    step(loop)
    step(loop)
    assert (store.asked, broker.sent, broker.commits) == ([], [], [])
    written[TRADES, 0] = 5
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [2, 2]
    broker.others[TRADES, 0] = 2, 9
    broker.send(change_of(trade(-60_000)))
    step(loop)
    step(loop)
    assert len(broker.sent) == 4  # the symbol's later ones are all in its partition


@pytest.mark.parametrize("error", [KafkaException("down"), TimeoutError()])
def test_nothing_is_committed_while_kafka_does_not_answer_where_partitions_end(error):
    broker, answers = Broker(), [error, {}]
    loop = loop_of(broker, written=lambda _: {(TRADES, 0): 9}, begun=False)

    def ends(_topics):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    loop._ends = ends
    broker.send(change_of(trade(0)))
    step(loop)
    assert (broker.sent, broker.commits) == ([], [])
    step(loop)
    step(loop)
    assert (len(broker.sent), broker.commits) == (2, [(1, "bars/1m,bars/5s")])


def test_nothing_is_committed_before_kafka_has_the_bars():
    broker = Broker()
    loop = loop_of(broker)
    broker.refuse = "slow"
    broker.send(change_of(trade(0)))
    step(loop)
    assert broker.commits == []
    broker.refuse = None
    step(loop)
    assert broker.commits == [(1, "bars/1m,bars/5s")]


def test_a_refused_bar_ends_the_program_without_a_commit():
    broker = Broker()
    loop = loop_of(broker)
    broker.refuse = object()
    broker.send(change_of(trade(0)))
    step(loop)
    with pytest.raises(KafkaException):
        step(loop)
    assert broker.commits == []


def test_an_unknown_window_is_read_once_the_consumers_have_passed_the_record():
    broker, store = Broker(committed=5, metadata="bars/5s,bars/1m"), Store(trade(0), trade(1))
    written: dict[tuple[str, int], int] = {}
    loop = loop_of(broker, store, lambda _: written, since_ms=START_MS)
    assert broker.start == 5
    broker.send(change_of(trade(1)))
    step(loop)
    written[TRADES, 0] = 5
    step(loop)
    assert (store.asked, broker.sent, broker.commits, broker.paused) == ([], [], [], True)
    written[TRADES, 0] = 6
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [2, 2]
    assert (broker.commits, broker.paused) == ([(6, "bars/1m,bars/5s")], False)


def test_reading_is_retried_while_cassandra_does_not_answer():
    class Down(Store):
        def trades(self, spans):
            if not self.asked:
                self.asked.append("once")
                raise NoHostAvailable("down", {})
            yield from super().trades(spans)

    broker = Broker()
    loop = loop_of(broker, Down(trade(0)), lambda _: {(TRADES, 0): 9}, since_ms=START_MS)
    broker.send(change_of(trade(0)))
    step(loop)
    step(loop)
    assert broker.sent == []
    step(loop)
    assert len(broker.sent) == 2


def test_a_new_bar_length_is_computed_from_the_beginning_of_the_topic():
    broker = Broker(committed=500, metadata="bars/5s", low=100)
    loop_of(broker)
    assert broker.start == 100


def test_a_revoked_partition_is_committed_and_its_wait_ends():
    broker = Broker()
    loop = loop_of(broker)
    broker.send(change_of(trade(0)))
    loop._commit_at = float("inf")
    loop.step()
    broker.revoke(broker, [TopicPartition(TRADES, 0)])
    assert broker.commits == [(1, "bars/1m,bars/5s")]
    late = Broker()
    loop = loop_of(late, since_ms=START_MS)
    late.send(change_of(trade(0)))
    step(loop)
    late.revoke(late, [TopicPartition(TRADES, 0)])
    step(loop)
    assert (late.commits, late.paused) == ([], False)


def test_records_that_are_not_trades_are_skipped_and_counted():
    broker = Broker()
    loop = loop_of(broker)
    broker.send(b"{}", change_of(trade(0), op="d"), change_of(trade(0)))
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [1, 1]
    assert broker.commits == [(3, "bars/1m,bars/5s")]
    metrics = loop._metrics.registry
    assert metrics.get_sample_value("cryptocdc_analyzer_undecodable_total") == 1
    assert metrics.get_sample_value("cryptocdc_analyzer_deletes_total") == 1


def test_trades_that_kafka_removed_unread_are_counted():
    broker = Broker(committed=40, metadata="bars/1m,bars/5s", low=100)
    loop = loop_of(broker)
    assert broker.start == 100
    assert loop._metrics.registry.get_sample_value("cryptocdc_analyzer_missed_total") == 60


def test_a_long_wait_for_consumers_or_cassandra_makes_it_unready():
    broker = Broker()
    loop = loop_of(broker, since_ms=START_MS)
    broker.send(change_of(trade(0)))
    step(loop)
    assert loop.obstacle() is None
    loop._waiting_since -= 60
    assert "for consumers or Cassandra" in (loop.obstacle() or "")


def test_each_change_of_an_order_book_becomes_one_row_with_its_operation():
    broker = Broker(topics=("f.f.order_book", "f.f.book_metrics"))
    loop = loop_of(broker, analytics={"bookMetrics": True})
    broker.send(book_change(["100"], ["1"], ["101"], ["3"]), book_change([], [], ["101"], ["3"], op="u"), b"[]")
    step(loop)
    assert [(row.op, row.mid, row.version) for row in broker.sent] == [("c", "100.5", 7), ("u", None, 7)]
    assert broker.commits == [(3, "book_metrics")]


def test_a_commit_that_fails_asynchronously_is_repeated():
    broker = Broker()
    loop = loop_of(broker)
    broker.send(change_of(trade(0)))
    step(loop)
    step(loop)
    assert len(broker.commits) == 1
    loop.on_commit("coordinator gone", [TopicPartition(TRADES, 0, 1)])
    step(loop)
    loop.on_commit(None, [TopicPartition(TRADES, 0, 1)])
    step(loop)
    assert broker.commits == [(1, "bars/1m,bars/5s")] * 2


def test_a_recreated_topic_is_read_from_its_beginning():
    broker = Broker(committed=5_000, metadata="bars/1m,bars/5s", low=3)
    loop_of(broker)
    assert broker.start == 3


def test_each_page_read_counts_as_progress_and_the_group_is_polled_in_between(monkeypatch):
    monkeypatch.setattr("cryptocdc_analyzer.loop.READ_FOR_S", 0)
    broker = Broker()
    loop = loop_of(broker, Store(trade(0), trade(1), trade(2)), lambda _: {(TRADES, 0): 9}, since_ms=START_MS)
    broker.send(change_of(trade(0)))
    step(loop)
    loop._member = lambda: False
    for _ in range(3):
        loop._health._last = -1e9
        step(loop)
        assert (loop._health.problem(), broker.sent, broker.commits) == (None, [], [])
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [3, 3]


def test_a_stored_trade_with_too_many_digits_is_skipped_and_counted():
    broker = Broker()
    stored = Store(trade(0), trade(1, price="1e-300"))
    loop = loop_of(broker, stored, lambda _: {(TRADES, 0): 9}, since_ms=START_MS)
    broker.send(change_of(trade(0)))
    step(loop)
    step(loop)
    assert [bar.trade_count for bar in broker.sent] == [1, 1]
    assert loop._metrics.registry.get_sample_value("cryptocdc_analyzer_undecodable_total") == 1


def test_reading_stops_when_the_partition_is_revoked(monkeypatch):
    monkeypatch.setattr("cryptocdc_analyzer.loop.READ_FOR_S", 0)
    broker = Broker()
    loop = loop_of(broker, Store(trade(0), trade(1)), lambda _: {(TRADES, 0): 9}, since_ms=START_MS)
    broker.send(change_of(trade(0)))
    step(loop)
    step(loop)
    broker.revoke(broker, [TopicPartition(TRADES, 0)])
    step(loop)
    assert (broker.sent, broker.commits, broker.paused) == ([], [], False)


class Forecasting(Broker):
    """Also a store: the tables have no rows of before."""

    def produce(self, topic, value, key, on_delivery):
        self.sent.append((topic, Decoder(by_table(topic.rpartition(".")[2])).decode(value)))
        self.hold.append(on_delivery)

    def windows(self, stream, past):
        self.read = {*getattr(self, "read", ()), stream.table}
        yield []


def test_forecasts_are_sent_before_and_after_their_window_and_their_skill_is_a_metric():
    random = Random(1)
    broker, written = Forecasting(), dict[tuple[str, int], int]()
    broker.others = {("f.f.bars", 0): (0, 5), ("f.f.realized_volatility", 3): (0, 7)}
    analytics = {"bars": ["3s"], "volatility": ["3s"], "forecasts": ["3s"]}
    loop = loop_of(broker, broker, lambda _: written, analytics=analytics)
    for window in range(70):
        for part in range(4):
            price = str(100 + random.randrange(100) / 100)
            broker.send(change_of(trade(3_000 * window + 700 * part, price=price)))
        if window == 60:
            assert not hasattr(broker, "read")  # others have computed windows that the consumers have not written
            written |= {at: end for at, (_, end) in broker.others.items()}
        loop._compare_at = 0
        step(loop)
    step(loop)
    assert broker.read == {"bars", "realized_volatility"}
    assert broker.commits[-1][1] == "bars/3s,forecasts/3s,realized_volatility/3s"
    sent = [row for topic, row in broker.sent if topic == "f.f.forecasts"]
    at = START_MS + 3_000 * 68
    before, after = sorted((row for row in sent if row.open_time == at), key=lambda row: row.version)
    assert (before.completed, before.actual_volatility, after.completed) == (False, None, True)
    assert (after.volatility, after.upper) == (before.volatility, before.upper)
    newest = sent[-1]
    value = loop._metrics.registry.get_sample_value
    of = {"symbol": "BTCUSDT", "interval": "3s"}
    assert (newest.open_time, newest.completed) == (at + 3_000, False)
    assert value("cryptocdc_analyzer_forecast_skill", of) == float(newest.skill)
    loop._revoked(broker, [TopicPartition(TRADES, 0)])
    assert value("cryptocdc_analyzer_forecast_skill", of) is None
