"""The highest and lowest price of a sliding window, also with late prices."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_alerter.window import Extremes, Point

POINTS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda it: Point(it[0], Decimal(it[1]))), min_size=1
)


@given(points=POINTS, length=st.integers(1, 70))
def test_the_extremes_are_those_of_all_prices_within_the_window(points, length):
    window = Extremes(length)
    seen = []
    for point in points:
        window.add(point)
        seen.append(point)
        newest = max(p.at_ms for p in seen)
        prices = [p.price for p in seen if p.at_ms > newest - length]
        assert window.highest.price == max(prices)
        assert window.lowest.price == min(prices)


@given(points=POINTS)
def test_the_extremes_do_not_depend_on_the_order_of_arrival(points):
    in_order, as_given = Extremes(30), Extremes(30)
    for point in points:
        as_given.add(point)
    for point in sorted(points):
        in_order.add(point)
    assert in_order.highest.price == as_given.highest.price
    assert in_order.lowest.price == as_given.lowest.price


def test_points_that_can_not_become_an_extreme_are_dropped():
    window = Extremes(1_000_000)
    for at in range(10_000):
        window.add(Point(at, Decimal(at % 7 + 1)))
    assert len(window._high) + len(window._low) < 20
