"""CQL decimals as 128-bit integers with 18 digits after the point, many at once. Pure.

A CQL decimal is four bytes of scale, then the unscaled number, both big-endian and signed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cryptocdc_exporter.pages import Cells

PRECISION, SCALE = 38, 18

_POWERS = np.array([10**n for n in range(SCALE + 1)], dtype=np.uint64)
_LOW, _HALF = np.uint64(0xFFFF_FFFF), np.uint64(32)
_FAST_BYTES = 8


class DoesNotFit(ValueError):
    """A value has more than 20 digits before the point or more than 18 after it; the message is the value."""


def words(cells: Cells) -> NDArray[np.uint64]:
    """Return the values as little-endian 128-bit integers, shape (n, 2): the low and the high word, 0 for null.

    Raises DoesNotFit.
    """
    made = np.zeros((len(cells.at), 2), dtype="<u8")
    size = cells.length - 4
    scale = cells.integers(32, cells.at)
    fast = (size > 0) & (size <= _FAST_BYTES) & (scale >= 0) & (scale <= SCALE)
    if fast.all():
        made[:, 0], made[:, 1] = _products(cells, size, scale)
        return made
    if fast.any():
        some = np.flatnonzero(fast)
        made[some, 0], made[some, 1] = _products(cells.take(some), size[some], scale[some])
    for index in np.flatnonzero(~fast & ~cells.null):
        made[index] = _exact(cells.value(int(index)))
    return made


def _products(
    cells: Cells, size: NDArray[np.int64], scale: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return low and high words of unscaled numbers of at most 8 bytes, times the power of 10 that they lack."""
    # The 8 bytes up to the number's end, without those before its start, which is never less than 8 bytes into a page.
    unused = (_FAST_BYTES - size) * 8
    number = cells.integers(64, cells.at + cells.length - 8) << unused >> unused
    negative = number < 0
    factor = _POWERS[SCALE - scale]
    magnitude = np.abs(number).view(np.uint64)  # of -2**63, too: the wrapped result has the right bits
    a0, a1, b0, b1 = magnitude & _LOW, magnitude >> _HALF, factor & _LOW, factor >> _HALF
    low, cross, other, high = a0 * b0, a0 * b1, a1 * b0, a1 * b1
    middle = (low >> _HALF) + (cross & _LOW) + (other & _LOW)
    low = (low & _LOW) | (middle << _HALF)
    high += (cross >> _HALF) + (other >> _HALF) + (middle >> _HALF)
    if negative.any():
        low = np.where(negative, ~low + np.uint64(1), low)
        high = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    return low, high


def _exact(raw: bytes) -> tuple[int, int]:
    scale, number = int.from_bytes(raw[:4], "big", signed=True), int.from_bytes(raw[4:], "big", signed=True)
    added = SCALE - scale
    if number == 0:
        return 0, 0
    if abs(added) > 2 * PRECISION + len(raw) * 3:  # not a power of ten that could still be worth computing
        raise DoesNotFit(f"{number}E{-scale}")
    if added >= 0:
        number *= 10**added
    else:
        number, rest = divmod(number, 10**-added)
        if rest:
            raise DoesNotFit(f"{int.from_bytes(raw[4:], 'big', signed=True)}E{-scale}")
    if abs(number) >= 10**PRECISION:
        raise DoesNotFit(f"{int.from_bytes(raw[4:], 'big', signed=True)}E{-scale}")
    bits = number & (1 << 128) - 1
    return bits & (1 << 64) - 1, bits >> 64
