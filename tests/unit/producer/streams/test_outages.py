"""Time lost permanently by a stream that can't be filled later."""

from __future__ import annotations

import pytest
from tests.unit.producer.conftest import NOW

from cryptocdc_producer.streams.outage import Outage


def test_the_outage_of_a_takeover_is_the_time_between_the_rows_around_it() -> None:
    outage = Outage(0)
    outage.begin({"A": NOW - 60_000, "B": NOW - 12_000})

    assert outage.end("C", NOW - 1) == 0
    assert outage.end("A", NOW) == 12
    assert outage.end("B", NOW + 1) == 0


def test_the_same_outage_is_counted_once_for_all_symbols() -> None:
    outage = Outage(1)
    for symbol, lost_s in (("A", 60), ("B", 0)):
        outage.begin({symbol: NOW - 60_000})
        assert outage.end(symbol, NOW) == lost_s


@pytest.mark.parametrize(("apart_s", "lost_s"), [(100, 0), (130, 130)])
def test_rows_at_their_usual_distance_are_not_an_outage(apart_s: int, lost_s: int) -> None:
    outage = Outage(60)
    outage.begin({"A": NOW})

    assert outage.end("A", NOW + apart_s * 1000) == lost_s


def test_a_first_start_has_no_outage() -> None:
    outage = Outage(1)
    outage.begin({"A": None})

    assert outage.end("A", NOW) == 0
