"""Figures computed from scraped metrics."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from cryptocdc_adapters.metrics.figures import Figures, Samples, Written, parse, quantile, since
from cryptocdc_core.program.metrics import ConsumerMetrics, ProducerMetrics, VerifierMetrics


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


def test_metrics_of_a_feed_s_programs_are_summed() -> None:
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


def test_without_consumer_metrics_the_committed_offsets_count_as_written() -> None:
    figures = Figures("f", ["klines"])
    figures.update(parse([producer(10)], at=100), {"klines": 10}, {}, Written({"klines": 10}, 0))
    now = figures.update(
        parse([producer(30)], at=110), {"klines": 40}, {("f.f.klines", 0): 5}, Written({"klines": 35}, 2)
    )

    klines = now.streams["klines"]
    assert (klines.kafka, klines.cassandra, klines.cassandra_rate, klines.lag, klines.p99) == (40, 35, 2.5, 5, None)
    assert now.dead_letters == 2


def test_lag_comes_from_kafka_if_no_consumer_reports_it() -> None:
    uncommitted = {("f.f.klines", 3): 500, ("f.f.klines", 4): 20, ("f.f.recent_trades", 4): 1}
    alone = Figures("f", ["klines"]).update(parse([producer(10)], at=100), {"klines": 520}, uncommitted)
    beside = Figures("f", ["klines"]).update(parse([exposition(10, 1.0)], at=100), {"klines": 520}, uncommitted)

    assert alone.streams["klines"].lag == 520
    assert beside.streams["klines"].lag == 7 + 20


def test_a_budget_shared_by_producers_is_not_summed() -> None:
    metrics = ProducerMetrics("test")
    metrics.weight_used.set(120)
    metrics.weight_limit.set(6000)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", []).update(parse([text, text], at=0), {})

    assert (got.weight_used, got.weight_limit) == (120, 6000)


def test_without_samples_figures_are_unknown() -> None:
    got = Figures("f", ["klines"]).update(Samples(), {})

    assert got.programs == 0
    assert got.streams["klines"].p50 is None
    assert got.streams["klines"].proven_through is None


def test_quantile_interpolates_within_the_bucket() -> None:
    assert quantile(0.5, {0.01: 0, 0.02: 100, math.inf: 100}) == pytest.approx(0.015)
    assert quantile(0.99, {0.01: 50, 0.02: 50, math.inf: 100}) == 0.02  # beyond the last bound: that bound
    assert quantile(0.5, {0.01: 0, math.inf: 0}) is None
    assert quantile(0.5, {}) is None


def test_a_histogram_that_was_reset_counts_from_zero() -> None:
    assert since({1.0: 5, math.inf: 6}, {1.0: 2, math.inf: 2}) == {1.0: 3, math.inf: 4}
    assert since({1.0: 1, math.inf: 1}, {1.0: 2, math.inf: 2}) == {1.0: 1, math.inf: 1}


def test_the_longest_write_stall_of_all_consumers_is_shown() -> None:
    texts = []
    for stalled_s in (0.0, 12.0, 7.0):
        metrics = ConsumerMetrics("test")
        metrics.write_stalled_seconds.set(stalled_s)
        texts.append(generate_latest(metrics.registry).decode())
    assert Figures("f", []).update(parse(texts, at=0), {}).write_stalled_s == 12.0


def test_proof_behind_is_what_the_verifier_reports() -> None:
    """Not the age of the last proven moment, which may be an hour for candles."""
    metrics = VerifierMetrics("test")
    metrics.proven_through.labels("f", "klines").set(1_000)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", ["klines"]).update(parse([text], at=0), {}).streams["klines"]
    assert got.proof_behind_s(4_600) == 3_600, "without the metric, as from an earlier verifier"
    metrics.unproven_seconds.labels("f", "klines").set(0)
    text = generate_latest(metrics.registry).decode()
    got = Figures("f", ["klines"]).update(parse([text], at=0), {}).streams["klines"]
    assert got.proof_behind_s(4_600) == 0


def test_repairs_are_those_of_the_feed_in_the_words_of_its_status() -> None:
    metrics = VerifierMetrics("test")
    for fid, table in (("f", "klines"), ("f", "latest_prices"), ("other", "klines")):
        metrics.differences.labels(fid, table, "missing").set(1)
        metrics.repaired_rows.labels(fid, table, "update_lost").inc(2)
        metrics.unrepaired_rows.labels(fid, table, "limit").set(1)
        metrics.unrepaired_rows.labels(fid, table, "extra").set(0)
    answered = parse([generate_latest(metrics.registry).decode()], at=0)
    figures = Figures("f", [])
    for samples in (answered, Samples()):  # the second time the verifier does not answer
        got = figures.update(samples, {})
        assert (got.repaired, got.repair) == (4, "4 rows repaired (update_lost 4); 2 rows left (limit 2)")


def test_a_verifier_that_starts_again_has_repaired_nothing() -> None:
    metrics = VerifierMetrics("test")
    metrics.differences.labels("f", "klines", "missing").set(0)
    figures = Figures("f", [])
    for rows in (3, 0):
        if rows:
            metrics.repaired_rows.labels("f", "klines", "never_sent").inc(rows)
        else:
            metrics.repaired_rows.clear()
        got = figures.update(parse([generate_latest(metrics.registry).decode()], at=0), {})
        assert (got.repaired, bool(got.repair)) == (rows, rows > 0)
