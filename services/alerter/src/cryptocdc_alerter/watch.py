"""One alert: when it fires and when it resolves. Pure.

It fires at the first price at which its condition is true, and resolves once the condition is false with a margin: a
tenth of the threshold for conditions in percent, a thousandth of the price for `above` and `below`. So a price that
hovers around the threshold is reported once. All comparisons use exact decimals.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from cryptocdc_alerter.window import Extremes, Point
from cryptocdc_core.feed.alerts import Alert, PriceCondition

EASED = {
    "dropPercent": Decimal("0.9"), "risePercent": Decimal("0.9"), "volatilityPercent": Decimal("0.9"),
    "above": Decimal("0.999"), "below": Decimal("1.001"),
}  # fmt: skip
"""A firing alert keeps firing while its condition is true with the threshold multiplied by this."""

_EXACT = Context(prec=200)
"""More digits than a product of two prices and a threshold has."""
_SHOWN = Decimal("0.0001")


def holds(condition: PriceCondition, threshold: Decimal, price: Decimal, window: Extremes | None) -> bool:
    """Return whether the condition is true at `price`, the newest. `window` is needed for those that look back."""
    if condition == "above":
        return price > threshold
    if condition == "below":
        return price < threshold
    assert window is not None
    start, end = _compared(condition, price, window)
    moved = _EXACT.multiply(_EXACT.subtract(start.price, end) if condition == "dropPercent" else end - start.price, 100)
    return moved >= _EXACT.multiply(threshold, start.price)


def _compared(condition: PriceCondition, price: Decimal, window: Extremes) -> tuple[Point, Decimal]:
    """Return the start and the end price of the change that the condition is about."""
    if condition == "dropPercent":
        return window.highest, price
    if condition == "risePercent":
        return window.lowest, price
    return window.lowest, window.highest.price


class Watch:
    """One alert's state. `window` is shared by all alerts of the symbol with the same window."""

    def __init__(self, alert: Alert, window: Extremes | None, *, firing: bool = False) -> None:
        self.alert = alert
        self.firing = firing
        self.window = window
        self._eased = _EXACT.multiply(alert.threshold, EASED[alert.price_condition])

    def update(self, price: Decimal) -> bool:
        """Evaluate the condition at the newest price, and return whether the alert has fired or resolved."""
        threshold = self._eased if self.firing else self.alert.threshold
        before, self.firing = self.firing, holds(self.alert.price_condition, threshold, price, self.window)
        return self.firing != before

    def compared(self, price: Decimal) -> tuple[Point, Decimal] | None:
        """Return the price with which the newest is compared, and the change since in percent, to four decimals; None
        for `above` and `below`."""
        if self.window is None:
            return None
        start, end = _compared(self.alert.price_condition, price, self.window)
        percent = _EXACT.divide(_EXACT.multiply(end - start.price, 100), start.price)
        return start, percent.quantize(_SHOWN, ROUND_HALF_EVEN)
