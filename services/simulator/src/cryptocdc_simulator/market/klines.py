"""Klines of every interval the exchange knows, as exact sums of trades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from operator import add, mul
from typing import NamedTuple

from cryptocdc_simulator.market.prices import SLOT_MS, SLOTS_A_MINUTE
from cryptocdc_simulator.market.trades import Tape

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY  # 1970-01-05 was the first Monday

INTERVALS: dict[str, int] = {
    "1s": _SECOND,
    **{f"{n}m": n * _MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * _HOUR for n in (1, 2, 4, 6, 8, 12)},
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": _WEEK,
    "1M": 31 * _DAY,  # the longest; `opening` and `following` know the calendar
}


def opening(interval: str, time: int) -> int:
    """The open time of the kline that holds `time` (ms)."""
    if interval == "1M":
        at = datetime.fromtimestamp(time / 1000, UTC)
        return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1000
    if interval == "1w":
        return time - (time - _MONDAY) % _WEEK
    return time - time % INTERVALS[interval]


def following(interval: str, open_time: int) -> int:
    """The open time of the next kline; its predecessor's close time is one ms less."""
    if interval == "1M":
        return opening(interval, open_time + 31 * _DAY)
    return open_time + INTERVALS[interval]


class Bar(NamedTuple):
    """What trades add up to. Prices in ticks, volumes in steps, quote volumes in ticks times steps.

    first..last are raw trade ids. A bar without trades has 0 trades, ids -1 and the last price before it throughout.
    """

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    volume_taken: int
    quote_taken: int
    first: int
    last: int

    @property
    def trades(self) -> int:
        return self.last - self.first + 1 if self.first >= 0 else 0


def merged(bars: Iterable[Bar | None]) -> Bar | None:
    """Consecutive bars as one; None stands for a span without trades."""
    parts = [bar for bar in bars if bar is not None]
    if not parts:
        return None
    opens, highs, lows, closes, volumes, quotes, volumes_taken, quotes_taken, firsts, lasts = zip(*parts, strict=True)
    return Bar(
        opens[0],
        max(highs),
        min(lows),
        closes[-1],
        sum(volumes),
        sum(quotes),
        sum(volumes_taken),
        sum(quotes_taken),
        firsts[0],
        lasts[-1],
    )


class Bars:
    """Sums of any span of a tape, from cached days, hours and minutes.

    Only spans that lie in the past may be asked for: what is cached never changes again (a crash begins in a slot that
    has not begun).
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._days: dict[int, Bar | None] = {}
        self._hour = lru_cache(maxsize=500)(lambda start: self._composed(start, _HOUR, _MINUTE))
        self._minute = lru_cache(maxsize=2_000)(lambda start: self._slots(start, start + _MINUTE))
        # A running kline and the last 24 hours grow by less than a minute from one event to the next.
        self._minutes = lru_cache(maxsize=64)(lambda start, end: merged(self._whole_minutes(start, end)))

    def between(self, start: int, end: int) -> Bar | None:
        """The sum of the trades with start <= time < end (ms); None when there are none."""
        return merged(self._pieces(max(start, self._tape.listed_ms), end))

    def kline(self, start: int, end: int) -> Bar:
        """As `between`, with the last price before it where there was no trade."""
        bar = self.between(start, end)
        if bar is not None:
            return bar
        before = self._tape.first_id_at(start) - 1
        price = self._tape.aggregate(max(before, 0)).price
        return Bar(price, price, price, price, 0, 0, 0, 0, -1, -1)

    def filled(self, start: int, end: int) -> Iterator[None]:
        """Fill the cache for a span, hour by hour: a server gives others a turn in between."""
        at = max(start, self._tape.listed_ms) // _HOUR * _HOUR
        while at + _HOUR <= end:
            if at % _DAY == 0 and at + _DAY <= end:
                if at not in self._days:
                    for hour in range(at, at + _DAY, _HOUR):
                        self._hour(hour)
                        yield
                    self._day(at)
                at += _DAY
            else:
                self._hour(at)
                yield
                at += _HOUR

    def _pieces(self, start: int, end: int) -> Iterator[Bar | None]:
        first, last = -(-start // _MINUTE) * _MINUTE, end // _MINUTE * _MINUTE
        if first > last:  # within one minute
            yield from self._within_minute(start, end)
            return
        yield from self._within_minute(start, first)
        if first < last:
            yield self._minutes(first, last)
        yield from self._within_minute(last, end)

    def _within_minute(self, start: int, end: int) -> Iterator[Bar | None]:
        first, last = -(-start // SLOT_MS) * SLOT_MS, end // SLOT_MS * SLOT_MS
        if first > last:  # within one slot
            yield self._partial(start, end)
            return
        yield self._partial(start, first)
        if first < last:
            yield self._slots(first, last)
        yield self._partial(last, end)

    def _whole_minutes(self, at: int, end: int) -> Iterator[Bar | None]:
        while at < end:
            if at % _DAY == 0 and at + _DAY <= end:
                yield self._day(at)
                at += _DAY
            elif at % _HOUR == 0 and at + _HOUR <= end:
                yield self._hour(at)
                at += _HOUR
            else:
                yield self._minute(at)
                at += _MINUTE

    def _day(self, start: int) -> Bar | None:
        if start not in self._days:
            self._days[start] = self._composed(start, _DAY, _HOUR)
        return self._days[start]

    def _composed(self, start: int, length: int, unit: int) -> Bar | None:
        if start < self._tape.listed_ms:
            return self.between(start, start + length)
        bar_of = self._hour if unit == _HOUR else self._minute
        return merged(bar_of(at) for at in range(start, start + length, unit))

    def _slots(self, start: int, end: int) -> Bar:
        """The sum of whole slots of one minute, from their shapes' sums: no trade is visited."""
        minute, part = divmod(start // SLOT_MS, SLOTS_A_MINUTE)
        count = (end - start) // SLOT_MS
        all_shapes, swell = self._tape.minute(minute)
        shapes = all_shapes[part : part + count]
        levels = self._tape.path.levels(minute)[part : part + count]
        highs, lows, volumes, moments, volumes_taken, moments_taken = zip(*[s.sums for s in shapes], strict=True)
        first = self._tape.first_raw_id_in(start // SLOT_MS)
        return Bar(
            levels[0] + shapes[0].offsets[0],
            max(map(add, levels, highs)),
            min(map(add, levels, lows)),
            levels[-1] + shapes[-1].offsets[-1],
            swell * sum(volumes),
            swell * (sum(map(mul, levels, volumes)) + sum(moments)),
            swell * sum(volumes_taken),
            swell * (sum(map(mul, levels, volumes_taken)) + sum(moments_taken)),
            first,
            first + count * shapes[0].raw_before[-1] - 1,
        )

    def _partial(self, start: int, end: int) -> Bar | None:
        """The sum of the trades of a part of a slot."""
        if start == end:
            return None
        tape = self._tape
        trades = list(tape.aggregates(tape.first_id_at(start), tape.first_id_at(end)))
        if not trades:
            return None
        taken = [trade for trade in trades if not trade.buyer_is_maker]
        prices = [trade.price for trade in trades]
        return Bar(
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(trade.quantity for trade in trades),
            sum(trade.price * trade.quantity for trade in trades),
            sum(trade.quantity for trade in taken),
            sum(trade.price * trade.quantity for trade in taken),
            trades[0].first,
            trades[-1].last,
        )
