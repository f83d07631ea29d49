"""Which ids of trades are missing, also where an exchange has let them begin again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def missing_ids(trades: Iterable[Sequence[Any]]) -> int:
    """Return how many ids are missing. `trades`: symbol and id of each, in the order in which they were traded.

    Ids that fall have begun again at 0: then those before the first one seen are missing, too. What was before the
    first trade of all, and after the last one before ids began again, nobody can know.
    """
    expected: dict[str, int] = {}
    missing = 0
    for symbol, trade_id in trades:
        next_id = expected.get(symbol, trade_id)
        missing += trade_id - next_id if trade_id >= next_id else trade_id
        expected[symbol] = trade_id + 1
    return missing
