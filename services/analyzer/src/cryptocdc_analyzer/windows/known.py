"""The trades of one symbol that its windows already have, in about two bytes each. Pure.

A trade is identified by its time and its id, since an exchange may restart its ids. Ids are nearly consecutive: they
are held as runs, by minute, with the time of each id within the minute as a 16-bit number.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

SLICE_MS = 60_000
"""At most 65,536, so that a time within it fits into 16 bits."""


class KnownTrades:
    """A set of (time in milliseconds, id)."""

    def __init__(self) -> None:
        self._slices: dict[int, _Slice] = {}
        """By the start of the minute divided by SLICE_MS."""

    def add(self, at_ms: int, id: int) -> bool:
        """Add a trade, and return False if it is known already."""
        number, offset = divmod(at_ms, SLICE_MS)
        found = self._slices.get(number)
        if found is None:
            found = self._slices[number] = _Slice()
        return found.add(id, offset)

    def forget(self, before_ms: int) -> None:
        """Forget the minutes that end no later than `before_ms`."""
        for number in [number for number in self._slices if (number + 1) * SLICE_MS <= before_ms]:
            del self._slices[number]

    def __bool__(self) -> bool:
        return bool(self._slices)


class _Slice:
    """Runs of consecutive ids: `starts` are their first ids, ascending, `offsets` the times of their ids."""

    __slots__ = ("offsets", "others", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.offsets: list[array[int]] = []
        self.others: set[tuple[int, int]] | None = None
        """Trades whose id is in a run with another time."""

    def add(self, id: int, offset: int) -> bool:
        after = bisect_right(self.starts, id)
        follows = after < len(self.starts) and self.starts[after] == id + 1
        if after:
            run, position = self.offsets[after - 1], id - self.starts[after - 1]
            if position < len(run):
                return run[position] != offset and self._add_other(id, offset)
            if position == len(run):
                run.append(offset)
                if follows:
                    run.extend(self.offsets.pop(after))
                    del self.starts[after]
                return True
        if follows:
            self.starts[after] = id
            self.offsets[after].insert(0, offset)
        else:
            self.starts.insert(after, id)
            self.offsets.insert(after, array("H", (offset,)))
        return True

    def _add_other(self, id: int, offset: int) -> bool:
        if self.others is None:
            self.others = set()
        before = len(self.others)
        self.others.add((id, offset))
        return len(self.others) > before
