"""Batches that fail: retried after transient faults, halved after permanent ones."""

from unittest.mock import ANY

import pytest
from cassandra import InvalidRequest, OperationTimedOut, WriteTimeout
from cassandra.cluster import NoHostAvailable

from cryptocdc_consumer.intake import Batch, Chunk
from cryptocdc_consumer.sink import BACKOFF, IN_FLIGHT, STALLED_S, Sink
from cryptocdc_core.program.metrics import ConsumerMetrics

from .fakes import Cassandra, Clock


def batch(*rows):
    return Batch("t", b"key", Chunk({}, len(rows), pending=1), None, [(row, ANY, None) for row in rows])


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cassandra():
    return Cassandra()


@pytest.fixture
def sink(cassandra, clock):
    return Sink(cassandra.send, ConsumerMetrics("test"), clock, clock)


def test_a_successful_response_is_an_acknowledgement(sink, cassandra):
    one = batch(b"a", b"b")
    sink.send(one)
    assert sink.unsettled == 1
    assert sink.settle().acknowledged == []
    cassandra.answer()
    assert sink.settle().acknowledged == [one]
    assert sink.unsettled == 0


@pytest.mark.parametrize(
    "error",
    [
        OperationTimedOut(),
        WriteTimeout("late", write_type=0),
        NoHostAvailable("none", {}),
        ConnectionError("cut"),
        InvalidRequest("unconfigured table trades"),
    ],
)
def test_a_transient_error_is_retried_without_limit(sink, cassandra, clock, error):
    one = batch(b"a", b"b")
    sink.send(one)
    for attempt in range(1, 20):
        assert cassandra.sent == attempt
        cassandra.answer(error)
        assert sink.settle().refused == []
        assert sink.unsettled == 1, "it still counts, so that reading stays bounded"
        clock.now += BACKOFF.longest_s
        sink.settle()
    cassandra.answer()
    assert sink.settle().acknowledged == [one]


def test_a_transient_error_is_not_retried_immediately(sink, cassandra):
    sink.send(batch(b"a"))
    cassandra.answer(OperationTimedOut())
    sink.settle()
    sink.settle()
    assert cassandra.sent == 1


def test_an_exception_of_the_client_is_retried_too(sink, cassandra, clock):
    cassandra.raises = NoHostAvailable("none", {})
    one = batch(b"a")
    sink.send(one)
    sink.settle()
    cassandra.raises = None
    clock.now += 1
    sink.settle()
    cassandra.answer()
    assert sink.settle().acknowledged == [one]


@pytest.mark.parametrize("bad", [{b"3"}, {b"0"}, {b"0", b"7"}, set()])
def test_only_the_invalid_rows_of_a_batch_are_refused(sink, cassandra, bad):
    one = batch(*(b"%d" % n for n in range(8)))
    cassandra.refuses = bad
    sink.send(one)
    written, refused = [], []
    while sink.unsettled:
        cassandra.answer()
        settled = sink.settle()
        for acknowledged in settled.acknowledged:
            written += [statement for statement, _, _ in acknowledged.entries]
            one.chunk.pending -= 1
        for _, (statement, _, _), words in settled.refused:
            assert "not a row" in words
            refused.append(statement)
            one.chunk.pending -= 1
    assert set(refused) == bad
    assert len(refused) == len(bad)
    assert sorted(written + refused) == [b"%d" % n for n in range(8)]
    assert one.chunk.pending == 0


def test_the_sink_is_full_at_its_limit_of_batches_in_flight(sink):
    for _ in range(IN_FLIGHT):
        assert not sink.full
        sink.send(batch(b"a"))
    assert sink.full


def test_a_sink_without_responses_reports_it_within_seconds(sink, cassandra, clock):
    """Cassandra's only pod is gone: no response arrives, then the driver reports that there is no host."""
    assert sink.stalled_s == 0
    sink.send(batch(b"a"))
    assert sink.obstacle() is None
    clock.now += STALLED_S
    assert sink.stalled_s == STALLED_S
    assert sink.obstacle() == "Cassandra has acknowledged nothing for 5 s: no response"
    cassandra.answer(NoHostAvailable("10.0.0.1 does not answer", {}))
    sink.settle()
    clock.now += 1
    assert "6 s: NoHostAvailable" in sink.obstacle()
    assert "10.0.0.1 does not answer" in sink.obstacle()
    clock.now += BACKOFF.longest_s
    sink.settle()
    cassandra.answer()
    sink.settle()
    assert (sink.stalled_s, sink.obstacle()) == (0, None)


def test_a_sink_with_occasional_responses_is_not_stalled(sink, cassandra, clock):
    for _ in range(5):
        sink.send(batch(b"a"))
        sink.send(batch(b"b"))
        clock.now += STALLED_S - 1
        sink._outcomes.append((batch(b"c"), None, 0.1))
        sink._sent += 1
        sink.settle()
        assert sink.obstacle() is None


def test_the_time_without_a_response_is_a_metric(cassandra, clock):
    metrics = ConsumerMetrics("test")
    sink = Sink(cassandra.send, metrics, clock, clock)
    sink.send(batch(b"a"))
    clock.now += 3
    assert metrics.registry.get_sample_value("cryptocdc_consumer_write_stalled_seconds") == 3
