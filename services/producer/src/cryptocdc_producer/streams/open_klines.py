"""Open klines, each written at most once per second; the last state is never lost. Pure."""

from __future__ import annotations

from cryptocdc_core.rows.typed import KlinesRow

PERIOD_S = 1.0


class OpenKlines:
    def __init__(self) -> None:
        self._written: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], KlinesRow] = {}

    def offer(self, row: KlinesRow, now: float) -> tuple[list[KlinesRow], int]:
        """Handle an open kline at `now` (monotonic seconds). Returns rows to write now, and how many were
        superseded."""
        key = (row.symbol, row.interval)
        held = self._held.pop(key, None)
        ready: list[KlinesRow] = []
        overtaken = 0
        if held is not None:
            if held.open_time != row.open_time:
                ready.append(held)
            else:
                overtaken = 1
        if now - self._written.get(key, float("-inf")) >= PERIOD_S:
            ready.append(row)
            self._written[key] = now
        else:
            self._held[key] = row
        return ready, overtaken

    def close(self, row: KlinesRow) -> list[KlinesRow]:
        """Return the rows to write when a kline closes: a held row of another kline, and the closed one."""
        held = self._held.pop((row.symbol, row.interval), None)
        return [row] if held is None or held.open_time == row.open_time else [held, row]

    def due(self, now: float) -> list[KlinesRow]:
        """Return held rows whose second has passed."""
        keys = [key for key in self._held if now - self._written.get(key, float("-inf")) >= PERIOD_S]
        for key in keys:
            self._written[key] = now
        return [self._held.pop(key) for key in keys]

    def release(self, symbol: str | None = None) -> list[KlinesRow]:
        """Return all held rows, or those of `symbol`, to be written before its capture ends."""
        keys = [key for key in self._held if symbol is None or key[0] == symbol]
        for key in [key for key in self._written if symbol is None or key[0] == symbol]:
            del self._written[key]
        return [self._held.pop(key) for key in keys]
