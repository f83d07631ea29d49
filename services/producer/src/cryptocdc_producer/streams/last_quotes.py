"""The last best bid and ask of each interval, by symbol. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_core.rows import BestQuotesRow

REPEATED_MS = 1000
"""Update ids that are known are a repetition, unless their event is later than the newest one by more than this: then
the exchange has begun to count again."""


@dataclass(slots=True)
class _Quote:
    newest: BestQuotesRow
    held_since: float
    """When (monotonic) the first quote of its interval came."""
    held: bool = True
    """Not written yet."""


class LastQuotes:
    def __init__(self, interval_ms: int) -> None:
        self._interval = interval_ms
        self._quotes: dict[str, _Quote] = {}

    def offer(self, row: BestQuotesRow, now: float) -> tuple[BestQuotesRow | None, int]:
        """Take a quote at `now` (monotonic seconds). Returns the one to write now, which ends its interval, and how
        many were overtaken.

        Quotes follow each other as they came, also where the clock that dates them stands still or steps back a
        little: such a quote gets the time of the one before it and a higher version.
        """
        quote = self._quotes.get(row.symbol)
        if quote is None:
            self._quotes[row.symbol] = _Quote(row, now)
            return None, 0
        newest = quote.newest
        if self._repeated(row, newest):
            return None, 0
        if newest.event_time - self._interval < row.event_time <= newest.event_time:
            row.event_time, row.version = newest.event_time, newest.version + 1
        if row.event_time // self._interval == newest.event_time // self._interval:
            overtaken = int(quote.held)
            if not quote.held:
                quote.held, quote.held_since = True, now
            quote.newest = row
            return None, overtaken
        ended = newest if quote.held else None
        self._quotes[row.symbol] = _Quote(row, now)
        return ended, 0

    def due(self, now: float) -> list[BestQuotesRow]:
        """Return the held quotes whose interval is over."""
        since = now - self._interval / 1000
        ended = [quote for quote in self._quotes.values() if quote.held and quote.held_since <= since]
        for quote in ended:
            quote.held = False
        return [quote.newest for quote in ended]

    def release(self, symbol: str) -> BestQuotesRow | None:
        """Forget a symbol. Returns what is held of it: it is written before its capture ends."""
        quote = self._quotes.pop(symbol, None)
        return quote.newest if quote is not None and quote.held else None

    @staticmethod
    def _repeated(row: BestQuotesRow, newest: BestQuotesRow) -> bool:
        """Whether a connection that overlaps with another one has sent a quote that is not newer."""
        if row.update_id is None or newest.update_id is None or row.update_id > newest.update_id:
            return False
        return row.event_time <= newest.event_time + REPEATED_MS
