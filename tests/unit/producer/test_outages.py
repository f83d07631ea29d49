"""Time lost for good by streams that can't be filled later."""

from __future__ import annotations

import pytest
from tests.unit.producer.conftest import NOW, make_feed

from cryptocdc_producer.outages import Outages
from cryptocdc_producer.store import Stored


def stored(**newest: int) -> Stored:
    return Stored(newest=newest)


def test_a_take_over_costs_what_lies_between_the_newest_row_and_the_first_one() -> None:
    outages = Outages(make_feed())
    outages.begin({"A": stored(latest_prices=NOW - 60_000), "B": stored(latest_prices=NOW - 12_000)})

    assert outages.end("latest_prices", "C", NOW - 1) == 0
    assert outages.end("latest_prices", "A", NOW) == 12
    assert outages.end("latest_prices", "B", NOW + 1) == 0


def test_the_same_time_is_lost_once_however_many_lots_the_symbols_come_in() -> None:
    outages = Outages(make_feed())
    for symbol, lost_s in (("A", 60), ("B", 0)):
        outages.begin({symbol: stored(order_book=NOW - 60_000)})
        assert outages.end("order_book", symbol, NOW) == lost_s


@pytest.mark.parametrize(("apart_s", "lost_s"), [(100, 0), (130, 130)])
def test_rows_as_far_apart_as_usual_are_no_outage(apart_s: int, lost_s: int) -> None:
    outages = Outages(make_feed({"crypto24hStats": {"source": "rest", "period": "60s"}}))
    outages.begin({"A": stored(crypto_24h_stats=NOW)})

    assert outages.end("crypto_24h_stats", "A", NOW + apart_s * 1000) == lost_s


def test_a_first_start_has_lost_nothing() -> None:
    outages = Outages(make_feed())
    outages.begin({"A": Stored()})

    assert outages.end("order_book", "A", NOW) == 0
