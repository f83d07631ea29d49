"""A market with a clock that only moves when a test moves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from cryptocdc_simulator.market.market import Market

NOON = 1_780_315_200_000  # 2026-06-01 12:00:00 UTC


@dataclass
class ManualClock:
    now: int = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def market(clock: ManualClock) -> Market:
    return Market(seed=7, symbols=64, rate=1.0, clock=clock)


def applied(book: dict[int, int], changes: Iterable[tuple[int, int]]) -> dict[int, int]:
    """A side of an order book after `changes`, as the exchange's documentation says to apply them."""
    book = dict(book)
    for price, quantity in changes:
        if quantity:
            book[price] = quantity
        else:
            book.pop(price, None)
    return book
