"""Figures of a perpetual contract besides its trades and book, as functions of time."""

from __future__ import annotations

from typing import NamedTuple

from cryptocdc_simulator.market import randomness
from cryptocdc_simulator.market.decimals import PRECISION
from cryptocdc_simulator.market.symbols import BASIS
from cryptocdc_simulator.market.trades import Aggregate, Tape

FUNDING_MS = 8 * 3_600_000
INTEREST_RATE = 10_000  # of each funding, in 10^-8
_SMOOTHED_MS = 30_000
_MINUTE_MS = 60_000
_BASIS_MINUTES, _FUNDING_MINUTES, _INTEREST_MINUTES = 20, 240, 180
_LIQUIDATIONS = 61  # one aggregate trade in this many
_TURNOVERS = 20_000  # open interest is around this many typical trades


class Mark(NamedTuple):
    """Prices and rates in units of 10^-8, times in ms.

    `funding_rate`: the current estimate for `next_funding`; `settled_rate`: the rate of the last funding.
    """

    price: int
    index_price: int
    funding_rate: int
    settled_rate: int
    next_funding: int


class Contract:
    """The figures of the perpetual contract traded on a tape."""

    def __init__(self, seed: int, tape: Tape) -> None:
        self._tape = tape
        instrument = tape.instrument
        symbol = instrument.symbol
        self._basis, self._funding, self._interest, self._forced = (
            randomness.key(seed, symbol, what) for what in ("basis", "funding", "interest", "liquidation")
        )
        self._scale: int = 10 ** (PRECISION - instrument.price_decimals)
        self._typical: int = max(1, round(instrument.lot * 10**instrument.quantity_decimals * _TURNOVERS))

    def mark(self, now: int) -> Mark:
        """Return the prices: the mark price is between the last price and that of half a minute ago, the index is the
        pair's price."""
        last, before = self._tape.price_before(now + 1), self._tape.price_before(now + 1 - _SMOOTHED_MS)
        minute = now // _MINUTE_MS
        basis = BASIS * (1.0 + 0.3 * randomness.smooth(self._basis, minute, _BASIS_MINUTES))
        price = (2 * last + before) * self._scale // 3
        next_funding = (now // FUNDING_MS + 1) * FUNDING_MS
        return Mark(
            price,
            round(price / (1.0 + basis)),
            self._rate(now),
            self._rate(next_funding - FUNDING_MS),
            next_funding,
        )

    def _rate(self, now: int) -> int:
        noise = randomness.smooth(self._funding, now // _MINUTE_MS, _FUNDING_MINUTES)
        return INTEREST_RATE + round(20_000 * noise)

    def open_interest(self, now: int) -> int:
        """Return the open interest in steps of the quantity."""
        noise = randomness.smooth(self._interest, now // _MINUTE_MS, _INTEREST_MINUTES)
        return int(self._typical * (1.0 + 0.2 * noise))

    def is_liquidation(self, trade: Aggregate) -> bool:
        """Return whether the taker of a trade was being liquidated."""
        return randomness.draw(self._forced, trade.id) % _LIQUIDATIONS == 0
