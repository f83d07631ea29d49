"""The lengths of klines, as the exchange aligns them: weeks to Monday, months to the calendar, all in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
LENGTH_MS: dict[str, int] = {
    "1s": 1000,
    "1m": _MINUTE, "3m": 3 * _MINUTE, "5m": 5 * _MINUTE, "15m": 15 * _MINUTE, "30m": 30 * _MINUTE,
    "1h": _HOUR, "2h": 2 * _HOUR, "4h": 4 * _HOUR, "6h": 6 * _HOUR, "8h": 8 * _HOUR, "12h": 12 * _HOUR,
    "1d": _DAY, "3d": 3 * _DAY, "1w": 7 * _DAY,
}  # fmt: skip
"""In milliseconds; "1M" is not here, for months differ."""


_MONDAY = 4 * _DAY
"""The first one since the epoch, 1970-01-05."""


def opening(interval: str, at_ms: int) -> int:
    """Return the open time of the kline that contains `at_ms`, in milliseconds since the epoch. KeyError if unknown.

    Three-day klines are not documented as aligned to anything: for them it returns `at_ms` itself.
    """
    if interval == "1M":
        return _month(at_ms, 0)
    if interval == "3d":
        return at_ms
    return at_ms - (at_ms - (_MONDAY if interval == "1w" else 0)) % LENGTH_MS[interval]


def end(interval: str, open_ms: int) -> int:
    """Return the first millisecond after the interval of the kline that opens at `open_ms`."""
    return following(interval, opening(interval, open_ms))


def following(interval: str, open_ms: int) -> int:
    """The open time of the kline after the one that opens at `open_ms`; both in milliseconds. KeyError if unknown."""
    return open_ms + LENGTH_MS[interval] if interval != "1M" else _month(open_ms, 1)


def preceding(interval: str, open_ms: int) -> int:
    """The open time of the kline before the one that opens at `open_ms`."""
    return open_ms - LENGTH_MS[interval] if interval != "1M" else _month(open_ms, -1)


def count(interval: str, first_ms: int, last_ms: int) -> int:
    """How many klines open from `first_ms` to `last_ms`, both included."""
    if interval != "1M":
        return (last_ms - first_ms) // LENGTH_MS[interval] + 1
    return _months(last_ms) - _months(first_ms) + 1


def _months(at_ms: int) -> int:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.year * 12 + at.month - 1


def _month(open_ms: int, later: int) -> int:
    year, month = divmod(_months(open_ms) + later, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
