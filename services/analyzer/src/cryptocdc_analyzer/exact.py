"""Exact decimal arithmetic, and the rounding of what can't be exact. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

DIGITS = 200
"""Most digits of a price or quantity on either side of the point, as producers and consumers accept them."""
EXACT = Context(prec=4 * DIGITS + 20, Emin=-10_000, Emax=10_000, traps=[Inexact, InvalidOperation, Overflow])
"""The digits of a product of two such numbers, and of a sum of 10 ** 20 of them. Rounding raises, so that a sum is
exact or not there."""
QUOTIENT = Context(prec=16, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation])
"""A quotient may have no end: 16 significant digits, half even, without zeros at the end."""
ZERO = Decimal(0)


def accepted(number: Decimal) -> bool:
    """Return whether a number has at most DIGITS digits on either side of the point, so that sums of it are exact."""
    return number.is_finite() and number.adjusted() < DIGITS and int(number.as_tuple().exponent) >= -DIGITS


def quotient(dividend: Decimal, divisor: Decimal) -> str:
    """Return the rounded quotient as text."""
    return text(QUOTIENT.divide(dividend, divisor).normalize(QUOTIENT))


def text(number: Decimal) -> str:
    """Return the number without exponent."""
    return format(number, "f")
