"""The heatmap's bins: no quantity is lost, and the bins of consecutive books line up."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.rows.heatmap import BINS, bin_width, bins

prices = st.builds(lambda n, scale: format(Decimal(n).scaleb(-scale), "f"), st.integers(1, 10**12), st.integers(0, 10))
quantities = st.builds(
    lambda n, scale: format(Decimal(n).scaleb(-scale), "f"), st.integers(0, 10**12), st.integers(0, 8)
)
levels = st.lists(st.tuples(prices, quantities), max_size=40)


def made(bids, asks):
    return bins([p for p, _ in bids], [q for _, q in bids], [p for p, _ in asks], [q for _, q in asks])


@given(levels, levels)
def test_the_heatmap_preserves_total_quantities(bids, asks):
    found = made(bids, asks)
    assert sum(b.bid_quantity for b in found) == sum(Decimal(q) for _, q in bids)
    assert sum(b.ask_quantity for b in found) == sum(Decimal(q) for _, q in asks)


@given(levels, levels)
def test_a_level_is_in_the_bin_that_contains_its_price(bids, asks):
    found = made(bids, asks)
    assert len(found) == (BINS if bids or asks else 0)
    for price, quantity in bids:
        (holder,) = [b for b in found if b.price_low <= Decimal(price) < b.price_high]
        assert holder.bid_quantity >= Decimal(quantity)


@given(levels)
def test_bins_are_contiguous(bids):
    found = made(bids, [])
    assert [b.bin for b in found] == list(range(len(found)))
    assert all(left.price_high == right.price_low for left, right in pairwise(found))


@pytest.mark.parametrize(
    ("span", "width"),
    [("0", "1"), ("22", "1"), ("23", "2"), ("44.1", "5"), ("111", "10"), ("0.0022", "0.0001"), ("3", "0.2")],
)
def test_widths_are_1_2_or_5_of_a_power_of_ten(span, width):
    assert bin_width(Decimal(span)) == Decimal(width)


def test_a_level_on_an_edge_belongs_to_the_upper_bin():
    found = bins(["100", "101"], ["1", "2"], ["122"], ["3"])
    assert [b.bid_quantity for b in found[:2]] == [1, 2]
    assert found[22].ask_quantity == 3
