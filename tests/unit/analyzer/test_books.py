"""The metrics of an order book, to the digit."""

import pytest
from tests.unit.analyzer.books import book_change

from cryptocdc_analyzer.records import Books
from cryptocdc_core.catalogue import by_table


def row_of(*sides):
    result = Books().read(book_change(*sides))
    assert result is not None
    return result.row


def test_a_book_has_every_column_of_its_table():
    row = row_of(["100.0", "99.5"], ["2", "1"], ["100.5", "101"], ["6", "0.5"])
    assert list(row) == list(by_table("book_metrics").column_names)
    assert (row["bid_price"], row["ask_price"], row["spread"], row["mid"]) == ("100.0", "100.5", "0.5", "100.25")
    assert row["microprice"] == "100.125"  # (100 * 6 + 100.5 * 2) / 8: nearer to the side with less quantity
    assert row["imbalance_1"] == "-0.5"
    assert row["imbalance_5"] == row["imbalance_20"] == "-0.3684210526315789"  # (3 - 6.5) / 9.5


def test_an_imbalance_covers_only_the_best_levels():
    bids, asks = [str(100 - level) for level in range(20)], [str(101 + level) for level in range(20)]
    row = row_of(bids, ["1"] * 20, asks, ["1"] * 5 + ["2"] * 15)
    assert [row[f"imbalance_{depth}"] for depth in (1, 5, 10, 20)] == ["0", "0", "-0.2", "-0.2727272727272727"]


@pytest.mark.parametrize("sides", [([], [], ["101"], ["3"]), (["100"], ["1"], [], []), ([], [], [], [])])
def test_figures_of_both_sides_are_null_when_a_side_is_empty(sides):
    row = row_of(*sides)
    assert {row[name] for name in ("spread", "mid", "microprice", "imbalance_1", "imbalance_20")} == {None}
    assert (row["bid_price"], row["ask_price"]) == (next(iter(sides[0]), None), next(iter(sides[2]), None))


def test_microprice_and_imbalance_are_null_when_all_quantities_are_zero():
    row = row_of(["100"], ["0"], ["101"], ["0"])
    assert (row["mid"], row["microprice"], row["imbalance_1"]) == ("100.5", None, None)


@pytest.mark.parametrize("sides", [(["100"], [], ["101"], ["3"]), (["100"], ["1"], ["101"], [])])
def test_a_book_whose_best_price_has_no_quantity_is_refused_as_one_that_can_not_be_computed(sides):
    """A row written by hand may have that: PostgreSQL does not compare the lengths of arrays."""
    with pytest.raises(ArithmeticError, match="BTCUSDT 1790000000000: the best price has no quantity"):
        row_of(*sides)
