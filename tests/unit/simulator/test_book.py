from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_simulator.market.book import DEPTH, step_at
from cryptocdc_simulator.market.market import Market

from .conftest import NOON, applied

MARKET = Market(7, 64, 1.0, lambda: NOON)
SYMBOLS = ("BTCUSDT", "SHIBUSDT", "LTCBTC", "NKNUSDT")


@given(st.sampled_from(SYMBOLS), st.integers(0, 200_000), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_diffs_applied_to_a_snapshot_give_the_later_snapshot(symbol: str, offset: int, strides: list[int]) -> None:
    book = MARKET.listings[symbol].book
    step = step_at(NOON) + offset
    bids, asks = (dict(side) for side in book.snapshot(step, DEPTH))
    last = book.update_id(step)
    for stride in strides:
        diff = book.diff(step, step + stride)
        assert diff.first_update == last + 1
        bids, asks = applied(bids, diff.bids), applied(asks, diff.asks)
        step, last = step + stride, diff.last_update
    expected_bids, expected_asks = book.snapshot(step, DEPTH)
    assert (bids, asks, last) == (dict(expected_bids), dict(expected_asks), book.update_id(step))


def test_diffs_carry_through_a_crash(market: Market) -> None:
    book = market.listings["BTCUSDT"].book
    begins = market.crash("BTCUSDT", percent=60, seconds=10)
    step = step_at(NOON)
    bids, asks = (dict(side) for side in book.snapshot(step, DEPTH))
    end = step_at(begins + 15_000)
    for before in range(step, end):
        diff = book.diff(before, before + 1)
        bids, asks = applied(bids, diff.bids), applied(asks, diff.asks)
    expected_bids, expected_asks = book.snapshot(end, DEPTH)
    assert (bids, asks) == (dict(expected_bids), dict(expected_asks))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bids_lie_below_the_last_price_and_asks_above(symbol: str) -> None:
    listing = MARKET.listings[symbol]
    bids, asks = listing.book.snapshot(step_at(NOON), DEPTH)
    last = listing.tape.aggregate(listing.tape.first_id_at(step_at(NOON) * 100) - 1).price
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0][0] < last < asks[0][0]
    assert len({price for price, _ in bids + asks}) == 2 * DEPTH
    assert all(quantity > 0 for _, quantity in bids + asks)


def test_every_step_changes_something() -> None:
    book = MARKET.listings["NKNUSDT"].book
    start = step_at(NOON)
    assert all((diff := book.diff(step, step + 1)).bids or diff.asks for step in range(start, start + 100))


def test_diffs_lead_into_a_crossed_book_and_out_of_it(market: Market) -> None:
    book, start = market.listings["BTCUSDT"].book, step_at(NOON)
    sides = book.snapshot(start, DEPTH)
    bids, asks = (dict(side) for side in sides)
    price, quantity = book.cross(start, 30)
    assert price > max(asks)
    with pytest.raises(ValueError, match="crossed already"):
        book.cross(start + 10, 5)

    for before in range(start, start + 40, 3):
        diff = book.diff(before, before + 3)
        bids, asks = applied(bids, diff.bids), applied(asks, diff.asks)
        expected_bids, expected_asks = book.snapshot(before + 3, DEPTH)
        assert (bids, asks) == (dict(expected_bids), dict(expected_asks))
        crossed = before + 3 <= start + 30
        assert (expected_bids[0] == (price, quantity)) == crossed
        assert (max(bids) > min(asks)) == crossed
        assert book.snapshot(before + 3, 5) == (expected_bids[:5], expected_asks[:5])


def test_update_ids_restart_and_jump_in_any_order(market: Market) -> None:
    book, step = market.listings["BTCUSDT"].book, step_at(NOON)
    book.restart_ids(step)
    assert (book.diff(step, step + 1).first_update, book.update_id(step + 1)) == (1, 8)
    book.jump_ids(step + 1, 1_000_000)
    assert book.update_id(step + 1) == 8
    assert book.diff(step + 1, step + 2)[:2] == (1_000_009, 1_000_016)
    assert book.diff(step + 2, step + 3).first_update == 1_000_017
    book.restart_ids(step + 3)
    assert (book.diff(step + 3, step + 4).first_update, book.update_id(step + 4)) == (1, 8)
