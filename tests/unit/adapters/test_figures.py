"""Figures from scrapes."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from cryptocdc_adapters.figures import Figures, Samples, Written, parse, quantile, since
from cryptocdc_core.metrics import ConsumerMetrics, ProducerMetrics, VerifierMetrics


def exposition(rows: int, latency_s: float) -> str:
    metrics = ConsumerMetrics("test")
    metrics.rows.labels("klines").inc(rows)
    metrics.lag.labels("f.f.klines", "3").set(7)
    for _ in range(rows):
        metrics.event_seconds.labels("klines").observe(latency_s)
    return generate_latest(metrics.registry).decode()


def producer(rows: int) -> str:
    metrics = ProducerMetrics("test")
    metrics.rows.labels("klines").inc(rows)
    metrics.frames.labels("klines", "websocket").inc(rows)
    metrics.frames.labels("klines", "rest").inc(1)
    metrics.gap_rows.labels("recent_trades", "filled").inc(5)
    return generate_latest(metrics.registry).decode()


def test_programs_of_a_feed_are_added_up() -> None:
    samples = parse([producer(10), producer(20)], at=0)

    assert samples.programs == 2
    assert samples.total("cryptocdc_producer_rows_total", table="klines") == 30
    assert samples.total("cryptocdc_producer_frames_total", table="klines") == 32
    assert samples.by("cryptocdc_producer_frames_total", "via") == {"websocket": 30, "rest": 2}


def test_rates_lag_and_latency_of_a_table() -> None:
    figures = Figures("f", ["klines"])
    figures.update(parse([producer(10), exposition(10, 20.0)], at=100), {"klines": 10})
    got = figures.update(parse([producer(30), exposition(10 + 20, 20.0)], at=110), {"klines": 40}).streams["klines"]

    assert (got.postgres, got.kafka, got.cassandra, got.lag) == (30, 40, 30, 7)
    assert (got.postgres_rate, got.kafka_rate, got.cassandra_rate) == (2.0, 3.0, 2.0)
    assert got.p50 is not None
    assert 10 <= got.p50 <= 30


def test_a_sink_engine_without_figures_has_written_what_is_committed() -> None:
    figures = Figures("f", ["klines"])
    figures.update(parse([producer(10)], at=100), {"klines": 10}, {}, Written({"klines": 10}, 0))
    now = figures.update(
        parse([producer(30)], at=110), {"klines": 40}, {("f.f.klines", 0): 5}, Written({"klines": 35}, 2)
    )

    klines = now.streams["klines"]
    assert (klines.kafka, klines.cassandra, klines.cassandra_rate, klines.lag, klines.p99) == (40, 35, 2.5, 5, None)
    assert now.dead_letters == 2


def test_lag_is_kafkas_if_no_consumer_reports_it() -> None:
    uncommitted = {("f.f.klines", 3): 500, ("f.f.klines", 4): 20, ("f.f.recent_trades", 4): 1}
    alone = Figures("f", ["klines"]).update(parse([producer(10)], at=100), {"klines": 520}, uncommitted)
    beside = Figures("f", ["klines"]).update(parse([exposition(10, 1.0)], at=100), {"klines": 520}, uncommitted)

    assert alone.streams["klines"].lag == 520
    assert beside.streams["klines"].lag == 7 + 20


def test_a_budget_that_producers_share_is_not_added_up() -> None:
    metrics = ProducerMetrics("test")
    metrics.weight_used.set(120)
    metrics.weight_limit.set(6000)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", []).update(parse([text, text], at=0), {})

    assert (got.weight_used, got.weight_limit) == (120, 6000)


def test_nothing_scraped_is_nothing_claimed() -> None:
    got = Figures("f", ["klines"]).update(Samples(), {})

    assert got.programs == 0
    assert got.streams["klines"].p50 is None
    assert got.streams["klines"].proven_through is None


def test_quantile_interpolates_within_the_bucket() -> None:
    assert quantile(0.5, {0.01: 0, 0.02: 100, math.inf: 100}) == pytest.approx(0.015)
    assert quantile(0.99, {0.01: 50, 0.02: 50, math.inf: 100}) == 0.02  # beyond the last bound: that bound
    assert quantile(0.5, {0.01: 0, math.inf: 0}) is None
    assert quantile(0.5, {}) is None


def test_a_restarted_histogram_counts_completely() -> None:
    assert since({1.0: 5, math.inf: 6}, {1.0: 2, math.inf: 2}) == {1.0: 3, math.inf: 4}
    assert since({1.0: 1, math.inf: 1}, {1.0: 2, math.inf: 2}) == {1.0: 1, math.inf: 1}


def test_of_several_consumers_the_one_that_has_waited_longest_for_cassandra_counts() -> None:
    texts = []
    for stalled_s in (0.0, 12.0, 7.0):
        metrics = ConsumerMetrics("test")
        metrics.write_stalled_seconds.set(stalled_s)
        texts.append(generate_latest(metrics.registry).decode())
    assert Figures("f", []).update(parse(texts, at=0), {}).write_stalled_s == 12.0


def test_how_far_the_proof_is_behind_is_the_verifiers_word() -> None:
    """And not how old the proven moment is: that of a candle's table may lie an hour back."""
    metrics = VerifierMetrics("test")
    metrics.proven_through.labels("f", "klines").set(1_000)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", ["klines"]).update(parse([text], at=0), {}).streams["klines"]
    assert got.proof_behind_s(4_600) == 3_600, "a verifier of an earlier version"
    metrics.unproven_seconds.labels("f", "klines").set(0)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", ["klines"]).update(parse([text], at=0), {}).streams["klines"]
    assert got.proof_behind_s(4_600) == 0
