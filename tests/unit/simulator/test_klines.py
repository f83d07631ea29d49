from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.klines import INTERVALS, Bars, following, opening
from cryptocdc_simulator.market.market import EPOCH_MS, Market
from cryptocdc_simulator.market.trades import Tape

NOON = 1_780_315_200_000
LISTING = Market(7, 64, 1.0, lambda: NOON).listings["LTCBTC"]


def added_up(tape: Tape, start: int, end: int) -> Bar | None:
    """The naive model: visit every trade."""
    trades = list(tape.aggregates(tape.first_id_at(start), tape.first_id_at(end)))
    if not trades:
        return None
    taken = [trade for trade in trades if not trade.buyer_is_maker]
    return Bar(
        trades[0].price,
        max(trade.price for trade in trades),
        min(trade.price for trade in trades),
        trades[-1].price,
        sum(trade.quantity for trade in trades),
        sum(trade.price * trade.quantity for trade in trades),
        sum(trade.quantity for trade in taken),
        sum(trade.price * trade.quantity for trade in taken),
        trades[0].first,
        trades[-1].last,
    )


@given(st.integers(EPOCH_MS - 100_000, NOON), st.integers(0, 400_000))
def test_a_bar_of_any_span_aggregates_its_trades(start: int, length: int) -> None:
    assert LISTING.bars.between(start, start + length) == added_up(LISTING.tape, start, start + length)


@pytest.mark.parametrize("start", [EPOCH_MS, NOON - 86_400_000 - 1, NOON // 86_400_000 * 86_400_000])
def test_a_bar_of_a_day_aggregates_its_trades(start: int) -> None:
    assert LISTING.bars.between(start, start + 86_400_000) == added_up(LISTING.tape, start, start + 86_400_000)


def test_filling_the_cache_changes_no_figure() -> None:
    span = NOON - 2 * 86_400_000 - 4_000_000, NOON - 1_234
    warm = Bars(LISTING.tape)
    for _ in warm.filled(*span):
        pass
    assert warm.between(*span) == Bars(LISTING.tape).between(*span)


def test_a_span_without_trades_keeps_the_last_price() -> None:
    tape = LISTING.tape
    quiet = next(t for t in range(NOON, NOON + 60_000) if tape.first_id_at(t) == tape.first_id_at(t + 1))
    bar = LISTING.bars.kline(quiet, quiet + 1)
    last = tape.aggregate(tape.first_id_at(quiet) - 1).price
    assert bar == Bar(last, last, last, last, 0, 0, 0, 0, -1, -1)
    assert bar.trades == 0


def test_a_crash_shows_in_the_bars(market: Market) -> None:
    listing = market.listings["LTCBTC"]
    listing.bars.between(NOON - 3_600_000, NOON)
    begins = market.crash("LTCBTC", percent=50, seconds=30)
    end = begins + 120_000
    assert listing.bars.between(NOON - 3_600_000, end) == added_up(listing.tape, NOON - 3_600_000, end)


@given(st.sampled_from(sorted(INTERVALS)), st.integers(EPOCH_MS, NOON))
def test_klines_are_contiguous(interval: str, time: int) -> None:
    start = opening(interval, time)
    end = following(interval, start)
    assert start <= time < end
    assert opening(interval, start) == start == opening(interval, end - 1)
    assert opening(interval, end) == end


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    week = datetime.fromtimestamp(opening("1w", NOON) / 1000, UTC)
    month = datetime.fromtimestamp(opening("1M", NOON) / 1000, UTC)
    assert (week.weekday(), week.hour) == (0, 0)
    assert month == datetime(2026, 6, 1, tzinfo=UTC)
