"""Exact decimal arithmetic, and the rounding of what can't be exact. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

EXACT = Context(prec=400, Emin=-10_000, Emax=10_000, traps=[Inexact, InvalidOperation, Overflow])
"""More digits than the sum of a day's trades has. Rounding raises, so that a sum is exact or not there."""
QUOTIENT = Context(prec=16, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation])
"""A quotient may have no end: 16 significant digits, half even, without zeros at the end."""
ZERO = Decimal(0)


def quotient(dividend: Decimal, divisor: Decimal) -> str:
    """Return the rounded quotient as text."""
    return text(QUOTIENT.divide(dividend, divisor).normalize(QUOTIENT))


def text(number: Decimal) -> str:
    """Return the number without exponent."""
    return format(number, "f")
