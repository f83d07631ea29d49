"""The pipeline's figures as flat rows."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.api.doubles import NoReadings

from cryptocdc_adapters.metrics.figures import FeedFigures, StreamFigures
from cryptocdc_api.routes.figures import rows_of

TRADES = StreamFigures(100, 90, 80, 70, 10.0, 9.0, 8.0, 7.0, 10, 0.02, 0.05, 1_795_250_000.5)
KLINES = StreamFigures(10, 9, 8, 7, 1.0, 1.0, 1.0, 1.0, 1, 0.03, 0.06, 1_795_250_060.0)


def figures(**streams: StreamFigures) -> FeedFigures:
    return replace(NoReadings().read(), streams=streams, gaps_open=2, dead_letters=3, halted=("LUNAUSDT",))


def test_the_row_all_has_the_sums_and_the_figures_that_belong_to_no_table() -> None:
    whole, trades, klines = rows_of("majors", "simulated", figures(recent_trades=TRADES, klines=KLINES))
    assert (whole["table"], whole["postgres"], whole["kafka_rate"], whole["lag"]) == ("all", 99, 9.0, 11)
    assert (whole["gaps_open"], whole["dead_letters"], whole["halted"]) == (2, 3, "LUNAUSDT")
    assert whole["p99_s"] is None, "quantiles don't add up"
    assert (trades["p50_s"], trades["gaps_open"]) == (0.02, None)
    assert klines["feed"] == "majors"


def test_the_row_all_is_proven_through_the_least_proven_table() -> None:
    whole, trades, _ = rows_of("majors", "simulated", figures(recent_trades=TRADES, klines=KLINES))
    assert whole["proven_through"] == trades["proven_through"] == "2026-11-21T08:33:20.500Z"
    assert whole["proven_through_ms"] == 1_795_250_000_500
    whole, *_ = rows_of(
        "majors", "simulated", figures(recent_trades=TRADES, klines=replace(KLINES, proven_through=None))
    )
    assert whole["proven_through"] is None


def test_the_row_all_is_as_far_behind_as_the_table_furthest_behind() -> None:
    """Not the age of the newest proven candle."""
    trades, klines = replace(TRADES, unproven_s=0.0), replace(KLINES, unproven_s=60.0)
    whole, first, second = rows_of("majors", "simulated", figures(recent_trades=trades, klines=klines))
    assert (whole["unproven_s"], first["unproven_s"], second["unproven_s"]) == (60.0, 0.0, 60.0)
    whole, *_ = rows_of("majors", "simulated", figures(recent_trades=TRADES))
    assert whole["unproven_s"] is None
