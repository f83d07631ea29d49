"""Anomalies computed from stored bars and order books' figures, plainly: the analyzer's results are compared with
these. Pure.

It shares no code with the analyzer and does not use its models: mean and variance are running sums as the models
document them, in floats, in the same order, so that the rounded results are equal to the digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute.bars import number, rounded

ANOMALIES, BARS, BOOK_METRICS = by_table("anomalies"), by_table("bars"), by_table("book_metrics")
RUN_WINDOWS, WARM_WINDOWS = 60, 30
DIGITS = 6
"""Significant digits of results of floats."""
LEAST_SCORE = 5
FLOOR_OF_CHANGES, FLOOR_OF_LOGARITHMS = 0.0001, 0.1
"""A smaller deviation is replaced by these."""
KINDS = {BARS.table: ("price", "volume"), BOOK_METRICS.table: ("quote_rate", "spread")}
"""By source, in the order of the table's key."""
NAMED = {"price": "price change", "volume": "volume", "spread": "mean spread", "quote_rate": "order books per second"}


class Facts(NamedTuple):
    """One window: `values` are those of the source's KINDS, None for no value."""

    weight: int
    values: tuple[str | None, ...]
    event_ms: int
    received_ms: int


def facts(source: Stream, lines: Iterable[bytes], length_ms: int) -> dict[int, Facts]:
    """Return what the rows of a source amount to, by the open time of their window."""
    names = [column.name for column in ordered(source)]
    windows: dict[int, list[dict[str, str]]] = {}
    for line in lines:
        row = dict(zip(names, line.decode().split("\t"), strict=True))
        at = int(row[source.time])
        if NULL not in (row["event_time"], row["received_at"], row["version"]):
            windows.setdefault(at - at % length_ms, []).append(row)
    made = {
        open_ms: _of_bar(rows[0]) if source == BARS else _of_books(rows, length_ms) for open_ms, rows in windows.items()
    }
    return {open_ms: found for open_ms, found in made.items() if found is not None}


def _of_bar(row: dict[str, str]) -> Facts | None:
    if NULL in (row["open"], row["close"], row["volume"]):
        return None
    opened, closed = number(row["open"]).value, number(row["close"]).value
    change = rounded(closed / opened - 1) if opened > 0 else None
    return Facts(int(row["trade_count"]), (change, row["volume"]), int(row["event_time"]), int(row["received_at"]))


def _of_books(rows: Sequence[dict[str, str]], length_ms: int) -> Facts:
    spreads = [number(row["spread"]).value for row in rows if row["spread"] != NULL]
    weight = sum(max(1, int(row["version"]) - 1000 * int(row["bucket_time"])) for row in rows)
    mean = rounded(sum(spreads, Fraction(0)) / len(spreads)) if spreads else None
    rate = rounded(Fraction(1000 * len(rows), length_ms))
    newest = (max(int(row[name]) for row in rows) for name in ("event_time", "received_at"))
    return Facts(weight, (rate, mean), *newest)


class Past:
    """The mean and the variance of the numbers so far."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, one: float) -> None:
        self.count += 1
        before = self.mean
        self.mean = before + 1.0 / self.count * (one - before)
        self._squares += (one - before) * (one - self.mean)

    @property
    def deviation(self) -> float:
        return (self._squares / (self.count - 1)) ** 0.5 if self.count > 1 else 0.0


def lines_of(
    source: Stream, symbol: str, interval: str, length_ms: int, run_ms: int, windows: dict[int, Facts]
) -> dict[tuple[int, str], bytes]:
    """Return the line of each row of the run that starts at `run_ms`, by open time and kind, given the windows of it
    and of the run before."""
    pasts = {kind: Past() for kind in KINDS[source.table]}
    made, weight = {}, 0
    for open_ms, (own, values, event_ms, received_ms) in sorted(windows.items()):
        weight += own
        for (kind, past), value in zip(pasts.items(), values, strict=True):
            taken = None if value is None else _number(kind, value)
            if open_ms >= run_ms:
                row: dict[str, object] = {
                    "symbol": symbol, "interval": interval, "open_time": open_ms,
                    "close_time": open_ms + length_ms - 1, "kind": kind, "value": NULL if value is None else value,
                    "window_count": past.count, "event_time": event_ms, "received_at": received_ms,
                    "version": 1000 * open_ms + weight,
                    **_judgement(kind, past, value or "", taken),
                }  # fmt: skip
                made[open_ms, kind] = "\t".join(str(row[column.name]) for column in ordered(ANOMALIES)).encode()
            if taken is not None:
                past.add(taken)
    return made


def _number(kind: str, value: str) -> float | None:
    """Return a change of price as it is, and the logarithm of anything else that is above zero."""
    if kind == "price":
        return float(value)
    with localcontext() as context:
        context.prec = 80
        return float(Decimal(value).ln()) if Decimal(value) > 0 else None


def _judgement(kind: str, past: Past, value: str, taken: float | None) -> dict[str, str]:
    if taken is None or past.count < WARM_WINDOWS:
        return {"anomaly": "f", "expected": NULL, "score": NULL, "reason": NULL}
    deviation = max(past.deviation + 1e-10, FLOOR_OF_CHANGES if kind == "price" else FLOOR_OF_LOGARITHMS)
    score = six(Decimal(abs((taken - past.mean) / deviation)))
    with localcontext() as context:
        context.prec = 50
        expected = six(Decimal(past.mean) if kind == "price" else Decimal(past.mean).exp())
    found = {"anomaly": "f", "expected": expected, "score": score, "reason": NULL}
    if Decimal(score) >= LEAST_SCORE:
        where = "above" if taken > past.mean else "below"
        found["anomaly"] = "t"
        found["reason"] = (
            f"{NAMED[kind]} {value} is {score} standard deviations {where} {expected}, the mean of {past.count} windows"
        )
    return found


def six(value: Decimal) -> str:
    """Return the value with DIGITS significant digits."""
    with localcontext() as context:
        context.prec = DIGITS
        return format((+value).normalize(), "f")
