from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_simulator.market.market import EPOCH_MS, Market
from cryptocdc_simulator.market.prices import FALL_MS
from cryptocdc_simulator.market.symbols import CATALOGUE
from cryptocdc_simulator.market.trades import Tape, parts

NOON = 1_780_315_200_000
TAPE = Market(7, 64, 1.0, lambda: NOON).listings["BNBUSDT"].tape
LAST_ID = TAPE.first_id_at(NOON)


def test_the_same_seed_and_time_give_the_same_history() -> None:
    one, same, other = (Market(seed, 64, 1.0, lambda: NOON).listings["SOLUSDT"].tape for seed in (3, 3, 4))
    ids = one.first_id_at(NOON), one.first_id_at(NOON + 60_000)
    assert list(one.aggregates(*ids)) == list(same.aggregates(*ids))
    assert list(one.aggregates(*ids)) != list(other.aggregates(*ids))


@given(st.integers(0, LAST_ID), st.integers(1, 300))
def test_ids_are_consecutive_and_times_never_fall(start: int, count: int) -> None:
    trades = list(TAPE.aggregates(start, start + count))
    assert [trade.id for trade in trades] == list(range(start, start + count))
    for one, next_one in pairwise(trades):
        assert next_one.first == one.last + 1
        assert next_one.time >= one.time
    assert all(trade.price > 0 and trade.quantity > 0 and trade.last >= trade.first for trade in trades)


@given(st.integers(EPOCH_MS - FALL_MS, NOON))
def test_ids_and_times_map_to_each_other(time: int) -> None:
    first = TAPE.first_id_at(time)
    assert TAPE.aggregate(first).time >= time
    assert first == 0 or TAPE.aggregate(first - 1).time < time


@given(st.integers(0, LAST_ID))
def test_an_aggregate_is_the_sum_of_its_raw_trades(id: int) -> None:
    whole = TAPE.aggregate(id)
    raws = list(TAPE.raws(whole.first, whole.last + 1))
    assert raws == list(parts(whole))
    assert [raw.id for raw in raws] == list(range(whole.first, whole.last + 1))
    assert sum(raw.quantity for raw in raws) == whole.quantity
    assert all((raw.price, raw.time) == (whole.price, whole.time) and raw.quantity > 0 for raw in raws)
    assert TAPE.aggregate_of_raw(whole.first) == TAPE.aggregate_of_raw(whole.last) == id
    assert TAPE.first_raw_id_of(id) == whole.first


def test_a_slice_of_raw_trades_can_start_and_end_within_an_aggregate() -> None:
    start = TAPE.first_raw_id_of(LAST_ID)
    whole = list(TAPE.raws(start, start + 100))
    assert [raw.id for raw in whole] == list(range(start, start + 100))
    assert list(TAPE.raws(start + 13, start + 57)) == whole[13:57]
    assert list(TAPE.raws(start, start)) == []


def test_every_product_is_exact_in_the_eight_decimals_of_the_wire() -> None:
    assert all(instrument.quote_decimals <= 8 for instrument in CATALOGUE)


def test_names_are_unique_and_many() -> None:
    assert len({instrument.symbol for instrument in CATALOGUE}) == len(CATALOGUE) >= 60


def test_twenty_symbols_make_between_100_and_200_trades_a_second() -> None:
    listings = Market(1, 20, 1.0, lambda: NOON).listings.values()
    day = sum(x.next_raw_id() - x.tape.first_raw_id_of(x.tape.first_id_at(NOON - 86_400_000)) for x in listings)
    assert 100 <= day / 86_400 <= 200


def test_the_rate_multiplies_the_trades() -> None:
    slow, fast = (Market(1, 1, rate, lambda: NOON).listings["BTCUSDT"].tape for rate in (1.0, 10.0))

    def per_hour(tape: Tape) -> int:
        return tape.first_id_at(NOON + 3_600_000) - tape.first_id_at(NOON)

    assert per_hour(fast) == pytest.approx(10 * per_hour(slow), rel=0.05)


def test_a_crash_lowers_the_price_without_changing_the_past(market: Market) -> None:
    tape = market.listings["BTCUSDT"].tape
    past = (tape.first_id_at(NOON - 60_000), market.listings["BTCUSDT"].next_id())
    before = list(tape.aggregates(*past))
    price = before[-1].price

    begins = market.crash("BTCUSDT", percent=40, seconds=20)

    assert NOON < begins <= NOON + FALL_MS
    assert list(tape.aggregates(*past)) == before
    assert tape.aggregate(tape.first_id_at(begins + 20_000)).price == pytest.approx(0.6 * price, rel=0.02)
    assert tape.aggregate(tape.first_id_at(begins + 3_600_000)).price == pytest.approx(0.6 * price, rel=0.05)


def test_no_crash_makes_a_price_zero(market: Market) -> None:
    for _ in range(5):
        begins = market.crash("PEPEUSDT", percent=99, seconds=5)
    tape = market.listings["PEPEUSDT"].tape
    first = tape.first_id_at(begins)
    assert min(trade.price for trade in tape.aggregates(first, first + 2_000)) > 0


def test_ids_restart_at_zero_and_only_the_ids_change() -> None:
    listing = Market(7, 64, 1.0, lambda: NOON).listings["BNBUSDT"]
    tape, first = listing.tape, listing.next_id()
    before = list(tape.aggregates(first, first + 50))
    minute = listing.bars.kline(NOON - 60_000, NOON)

    listing.restart_trade_ids()
    after = list(tape.aggregates(0, 50))

    assert listing.next_id() == listing.next_raw_id() == 0
    assert [trade.id for trade in after] == list(range(50))
    assert after[0].first == 0
    assert [trade[1:3] + trade[5:] for trade in after] == [trade[1:3] + trade[5:] for trade in before]
    assert [raw.id for raw in tape.raws(0, 60)] == list(range(60))
    assert tape.price_before(NOON) == TAPE.price_before(NOON)
    same = listing.bars.kline(NOON - 60_000, NOON)
    assert (same.trades, same[:8]) == (minute.trades, minute[:8])
    across = listing.bars.kline(NOON - 30_000, NOON + 30_000)
    assert across.trades == Market(7, 64, 1.0, lambda: NOON).listings["BNBUSDT"].bars.kline(
        NOON - 30_000, NOON + 30_000
    ).trades  # fmt: skip
