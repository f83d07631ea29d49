"""Random numbers with random access: a value depends only on its coordinates, never on what was drawn before.

So a restarted simulator has the same history, and any time can be computed without the earlier ones.
"""

from __future__ import annotations

from hashlib import blake2b

_MASK = (1 << 64) - 1


def key(*parts: object) -> int:
    """Return a 64-bit key of an object, such as (seed, symbol, "book")."""
    return int.from_bytes(blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


def draw(key: int, index: int) -> int:
    """The `index`-th 64-bit number of `key`: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    x = (key + index * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def signed(key: int, index: int) -> float:
    """Uniform in [-1, 1)."""
    return draw(key, index) / (1 << 63) - 1.0


def normal(key: int, index: int) -> float:
    """Close to normal with mean 0 and variance 1, within ±3.5: a sum of four uniform numbers.

    Uses only +, - and *, so that it has the same digits on every machine.
    """
    x = draw(key, index)
    return ((x & 0xFFFF) + (x >> 16 & 0xFFFF) + (x >> 32 & 0xFFFF) + (x >> 48) - 131_070) * 2.642_897e-05


def smooth(key: int, at: int, period: int) -> float:
    """Noise in [-1, 1) that is drawn at every multiple of `period` and eases from one to the next."""
    knot, rest = divmod(at, period)
    here = signed(key, knot)
    if rest:
        t = rest / period
        here += (signed(key, knot + 1) - here) * t * t * (3.0 - 2.0 * t)
    return here
