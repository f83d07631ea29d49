"""Windows that stand out from the symbol's own recent past, by river's online detectors. Pure.

A row depends on nothing but the windows of its run before it and of the run before that: detectors start empty at the
first of them. So whoever computes it, after whatever restart, computes the same.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any

from river.anomaly import StandardAbsoluteDeviation

from cryptocdc_analyzer.exact import EXACT, QUOTIENT, text
from cryptocdc_analyzer.models.history import Facts, Reach
from cryptocdc_analyzer.windows.volatility import LOG
from cryptocdc_core.catalogue.computed import LEAST_DEVIATION, RUN_WINDOWS, WARM_WINDOWS
from cryptocdc_core.rows.versions import version

REACH = Reach(RUN_WINDOWS, before=1)
THRESHOLD = 5
"""The score from which on a window is an anomaly."""
LABELS = {
    "price": "price change", "volume": "volume", "spread": "mean spread", "quote_rate": "order books per second",
}  # fmt: skip
ROUNDED = Context(prec=6, rounding=ROUND_HALF_EVEN)
"""Results of floats are rounded to 6 significant digits."""


def facts_of_bar(
    opened: Decimal, closed: Decimal, volume: Decimal, count: int, event_ms: int, received_ms: int
) -> Facts:
    """Return the facts of a bar with `count` trades."""
    return Facts(count, (("price", change_of(opened, closed)), ("volume", volume)), event_ms, received_ms)


def change_of(opened: Decimal, closed: Decimal) -> Decimal | None:
    """Return closed / opened - 1 rounded to 16 digits, None if `opened` is not above zero."""
    return QUOTIENT.divide(EXACT.subtract(closed, opened), opened).normalize(QUOTIENT) if opened > 0 else None


def rows(
    key: tuple[str, str], length_ms: int, run: Sequence[tuple[int, Facts]], wanted: Container[int]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the `wanted` windows, by open time. `key` is symbol and interval; `run` are all windows of one
    run and of the run before, in order; times in milliseconds. The wanted ones are of the later run."""
    detectors: dict[str, Any] = {}  # river is not typed
    samples = 0
    for open_ms, facts in run:
        samples += facts.samples
        for kind, value in facts.values:
            detector = detectors.setdefault(kind, StandardAbsoluteDeviation())
            learned = None if value is None else _learned(kind, value)
            if open_ms in wanted:
                yield {
                    "symbol": key[0],
                    "interval": key[1],
                    "open_time": open_ms,
                    "close_time": open_ms + length_ms - 1,
                    "kind": kind,
                    **_compared(detector, kind, value, learned),
                    "event_time": facts.event_ms,
                    "received_at": facts.received_ms,
                    "version": version(open_ms) + samples,
                }
            if learned is not None:
                detector.learn_one(None, learned)


@lru_cache(1 << 14)
def _learned(kind: str, value: Decimal) -> float | None:
    """Return the number that a detector learns: a change of price as it is, what is above zero as its logarithm.
    Cached, since a window is learned again for each that is compared with it."""
    if kind == "price":
        return float(value)
    return float(LOG.ln(value)) if value > 0 else None


def _compared(detector: Any, kind: str, value: Decimal | None, learned: float | None) -> dict[str, Any]:
    count = int(detector.variance.n)
    shown = None if value is None else text(value)
    row = {"anomaly": False, "value": shown, "expected": None, "score": None, "reason": None, "window_count": count}
    if learned is None or count < WARM_WINDOWS:
        return row
    mean = detector.variance.mean.get()
    most = abs(learned - mean) / LEAST_DEVIATION[kind]
    score = rounded(Decimal(min(detector.score_one(None, learned), most)))
    expected = text(rounded(Decimal(mean) if kind == "price" else LOG.exp(Decimal(mean))))
    row |= {"expected": expected, "score": text(score)}
    if score >= THRESHOLD:
        side = "above" if learned > mean else "below"
        row["anomaly"] = True
        row["reason"] = (
            f"{LABELS[kind]} {shown} is {text(score)} standard deviations {side} {expected},"
            f" the mean of {count} windows"
        )
    return row


def rounded(number: Decimal) -> Decimal:
    """Return the number with the 6 significant digits that results of floats have."""
    return ROUNDED.plus(number).normalize(ROUNDED)
