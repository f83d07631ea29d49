"""The plain computation of an order book's figures gives the analyzer's own row, to the digit."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.analyzer.books import book_change

from cryptocdc_analyzer.records import Books
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.recompute.books import BOOK_METRICS, metrics

TEXTS = st.decimals("0", "99999", allow_nan=False, places=8).map(lambda amount: format(amount, "f")) | st.sampled_from(
    ["0.5", "0.50", "100", "0.00000001"]
)
SIDE = st.lists(st.tuples(TEXTS, TEXTS), max_size=22)


def stored(sides):
    """The line of order_book as the verifier reads it."""
    listed = ["{" + ",".join(side) + "}" for side in sides]
    return "\t".join(["BTCUSDT", "1790000000000", "7", "1", *listed, "1790000000500", "1790000000510"]).encode()


@given(SIDE, SIDE)
def test_the_plain_computation_of_book_metrics_agrees_with_the_analyzers(bids, asks):
    sides = [[level[at] for level in side] for side in (bids, asks) for at in (0, 1)]
    result = Books().read(book_change(sides[0], sides[1], sides[2], sides[3]))
    assert result is not None
    row = result.row
    line = "\t".join("\\N" if row[c.name] is None else str(row[c.name]) for c in ordered(BOOK_METRICS))
    assert metrics(stored(sides)) == line.encode()


def test_a_row_without_levels_has_no_metrics():
    assert metrics("\t".join(["BTCUSDT", "1", "7", *["\\N"] * 7]).encode()) is None
