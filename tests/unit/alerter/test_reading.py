"""The prices of change records, each with the time at which it was one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.consumer.records import change
from tests.unit.core.feeds import feed

from cryptocdc_alerter.reading import Prices
from cryptocdc_alerter.window import Point
from cryptocdc_core.catalogue.streams import KLINES

END = 1_780_315_200_000


@pytest.mark.parametrize(("event_time", "at"), [(END - 3_000, END - 3_000), (END + 86_400_000, END - 1)])
def test_a_candle_that_was_fetched_later_is_a_price_of_its_own_time(event_time: int, at: int) -> None:
    value = change(KLINES, open_time=END - 60_000, close_time=END - 1, event_time=event_time, close="3000.10")

    assert Prices(feed(streams={"klines": {}})).read(value) == ("BTCUSDT", Point(at, Decimal("3000.10")))
