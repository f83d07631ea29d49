"""The live table: every figure is visible, on a wide terminal and on one of 80 columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from cryptocdc_adapters.metrics.figures import FeedFigures, StreamFigures
from cryptocdc_local.feeds import AppliedFeed
from cryptocdc_local.running.live import WIDE, feed_table

FEED = yaml.safe_load((Path(__file__).parents[4] / "examples" / "feed.yaml").read_text())
NOW = 1_790_000_000.0


def rendered(
    width: int,
    unproven_s: float | None = None,
    write_stalled_s: float = 0.0,
    waiting: tuple[str, ...] = (),
    halted: tuple[str, ...] = (),
    symbols: int = 10,
    repair: str = "",
    enabled: bool = False,
) -> str:
    stream = StreamFigures(
        frames=99_999, postgres=88_888, kafka=77_777, cassandra=66_666, frames_rate=4_321, postgres_rate=3_210,
        kafka_rate=2_109, cassandra_rate=1_098, lag=54_321, p50=0.078, p99=0.453, proven_through=NOW - 2_679,
        unproven_s=unproven_s,
    )  # fmt: skip
    figures = FeedFigures(
        streams={"recent_trades": stream, "crypto_24h_stats": stream}, gaps_open=1, gap_rows_filled=2,
        gap_rows_unfillable=3, dead_letters=4, rejected=5, outage_s=0, symbols=symbols, halted=halted,
        waiting=waiting, weight_used=7, weight_limit=6_000, differences=0, programs=3, write_stalled_s=write_stalled_s,
        repaired=3 if repair else 0, repair=repair,
    )  # fmt: skip
    feed = {**FEED, "spec": {**FEED["spec"], "repair": {"enabled": enabled}}}
    applied = AppliedFeed(
        feed, "simulated", "http://127.0.0.1:1", "ws://127.0.0.1:1", ("BTCUSDT",), ("OLDUSDT",), NOW, {"NEWUSDT": ()}
    )
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(feed_table(applied, figures, "", NOW))
    return captured.get()


@pytest.mark.parametrize("width", [80, WIDE - 1, WIDE, 200])
def test_every_figure_is_shown_without_truncation(width: int) -> None:
    text = rendered(width)
    for figure in (
        "recent_trades", "crypto_24h_stats", "99,999", "88,888", "77,777", "66,666", "4,321", "3,210", "2,109", "1,098",
        "54,321", "78 ms", "453 ms", "2,679 s", "200k", "8,642", "SIMULATED DATA",
    ):  # fmt: skip
        assert figure in text, f"{figure} at {width} columns:\n{text}"
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 200])
def test_an_open_candle_does_not_make_the_proof_look_old(width: int) -> None:
    """Of a `1h` candle that opened 2,679 s ago, with everything proven that can be."""
    text = rendered(width, unproven_s=0.0)
    assert "2,679 s" not in text
    assert " 0 s" in text
    assert "3,600 s" in rendered(width, unproven_s=3_600.0)


def test_a_write_stall_is_shown_within_seconds() -> None:
    said = "Cassandra has acknowledged nothing for 7 s"
    assert said in rendered(80, write_stalled_s=7.0)
    assert "acknowledged nothing" not in rendered(80, write_stalled_s=0.4)


def test_paused_and_unlisted_markets_are_shown_as_the_producers_report_them() -> None:
    text = rendered(200, waiting=("NEXTUSDT",), halted=("ETHUSDT",))
    assert "paused: ETHUSDT" in text
    assert "not listed yet: NEXTUSDT" in text
    assert "NEWUSDT" not in text
    assert "OLDUSDT" not in text, "the exchange's answer from when the feed was applied is a day old"


def test_until_producers_capture_anything_the_resolved_symbols_are_shown() -> None:
    text = rendered(200, symbols=0)
    assert "paused: OLDUSDT" in text
    assert "not listed yet: NEWUSDT" in text


def test_what_was_repaired_is_shown_with_its_causes() -> None:
    line = "3 rows repaired (never_sent 1, update_lost 2)"
    text = rendered(80, repair=line, enabled=True)
    assert "repaired 3" in text
    assert f"repair: {line}" in text


def test_repaired_rows_are_counted_only_for_a_feed_that_repairs() -> None:
    assert "repaired 0" in rendered(80, enabled=True)
    assert "repaired" not in rendered(80)
