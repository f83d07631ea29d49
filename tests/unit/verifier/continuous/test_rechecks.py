"""Which proven slices are counted again, and how many rows that costs."""

from __future__ import annotations

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.continuous.rechecks import ROWS_PER_S, SAVED_ROWS, SWEPT_ROWS, Rechecks
from cryptocdc_verifier.continuous.slices import GRACE_MS, HOUR_MS, MINUTE_MS

PASS_MS = 25_000
Slices = list[tuple[str, Proof]]


def proof(start: int, end: int, rows: int) -> Proof:
    return Proof(Window(start, end), rows, rows, 7)


class Table:
    """Rows that are captured at a steady rate, a slice a minute proven as it passes, and what is counted again."""

    def __init__(self, rows_per_s: int) -> None:
        self.rechecks = Rechecks()
        self.slices: Slices = []
        self.counted: list[Window] = []
        self.rows = 0
        self.now = 0
        self._rows_per_s = rows_per_s

    def run_until(self, end: int) -> None:
        while self.now < end:
            self.now += PASS_MS
            proven = len(self.slices) * MINUTE_MS
            self.rechecks.run(self.slices, self.now, self._count)
            if proven + MINUTE_MS + GRACE_MS <= self.now:
                self.slices.append(("t", proof(proven, proven + MINUTE_MS, 60 * self._rows_per_s)))
                self.rechecks.counted("t", self.slices[-1][1].window, self.now, None)

    def _count(self, at: int) -> int:
        table, found = self.slices[at]
        self.rechecks.counted(table, found.window, self.now, None)
        self.counted.append(found.window)
        self.rows += found.rows
        return found.rows


def rate_between(table: Table, start: int, end: int) -> float:
    """Rows counted again, a second."""
    table.run_until(start)
    before = table.rows
    table.run_until(end)
    return (table.rows - before) / (end - start) * 1000


def test_the_rate_of_rechecked_rows_does_not_grow_with_the_stored_rows() -> None:
    """Regression: 150 rows per second led to 9,000 rechecked rows per second after twenty minutes, and more later."""
    table = Table(150)
    assert rate_between(table, 15 * MINUTE_MS, 20 * MINUTE_MS) < ROWS_PER_S
    assert rate_between(table, 3 * HOUR_MS, 4 * HOUR_MS) < ROWS_PER_S * 1.1


def test_a_higher_capture_rate_does_not_increase_the_recheck_rate() -> None:
    table = Table(20_000)
    assert rate_between(table, HOUR_MS, 3 * HOUR_MS) < ROWS_PER_S * 1.1 + SAVED_ROWS / 7_200


def test_a_slice_is_rechecked_before_twice_its_age() -> None:
    table = Table(50)
    table.run_until(2 * HOUR_MS)
    first = table.slices[0][1].window
    table.counted.clear()
    table.run_until(4 * HOUR_MS)
    assert first in table.counted


def test_a_small_feed_is_rechecked_completely_in_each_pass() -> None:
    rechecks = Rechecks()
    slices: Slices = [("t", proof(i * HOUR_MS, (i + 1) * HOUR_MS, SWEPT_ROWS // 20)) for i in range(10)]
    for now in (100 * HOUR_MS, 100 * HOUR_MS + PASS_MS):
        counted: list[int] = []
        rechecks.run(slices, now, lambda at, counted=counted: counted.append(at) or slices[at][1].rows)  # type: ignore[misc]
        for table, found in slices:
            rechecks.counted(table, found.window, now, None)
        assert sorted(counted) == list(range(10))


def first_of(rechecks: Rechecks, slices: Slices, now: int) -> int | None:
    """Return the slice that is rechecked regardless of its cost."""
    counted: list[int] = []

    def count(at: int) -> int:
        counted.append(at)
        return 10**9

    rechecks.run(slices, now, count)
    return counted[0] if counted else None


def test_a_closed_candle_is_rechecked_immediately_even_if_much_else_is_due() -> None:
    """The 1h candle that opened in slice 1, which was proven while the candle was open."""
    rechecks = Rechecks()
    slices: Slices = [("trades", proof(0, HOUR_MS, 10**6)), ("klines", proof(HOUR_MS, HOUR_MS + MINUTE_MS, 30))]
    close = 2 * HOUR_MS - 1
    rechecks.counted("klines", slices[1][1].window, close - 5_000, close)
    assert first_of(rechecks, slices, close + GRACE_MS - 1) == 0
    rechecks.counted("trades", slices[0][1].window, close, None)
    assert first_of(rechecks, slices, close + GRACE_MS) == 1


def test_a_candle_that_never_closes_is_rechecked_no_more_often_than_others() -> None:
    rechecks = Rechecks()
    slices: Slices = [("klines", proof(0, MINUTE_MS, 30)), ("trades", proof(0, HOUR_MS, 10**6))]
    now = 3 * HOUR_MS
    rechecks.counted("klines", slices[0][1].window, now, HOUR_MS)
    assert first_of(rechecks, slices, now + PASS_MS) == 1


def test_merging_keeps_the_earliest_check_and_the_earliest_close() -> None:
    rechecks = Rechecks()
    parts = [Window(0, MINUTE_MS), Window(MINUTE_MS, HOUR_MS)]
    whole = Window(0, HOUR_MS)
    close = 2 * HOUR_MS
    rechecks.counted("klines", parts[0], 2 * HOUR_MS - 10_000, close)
    rechecks.counted("klines", parts[1], 2 * HOUR_MS - 5_000, None)
    rechecks.merged("klines", parts, whole)
    slices: Slices = [("trades", proof(0, HOUR_MS, 10**6)), ("klines", Proof(whole, 60, 60, 7))]
    assert first_of(rechecks, slices, close + GRACE_MS) == 1
