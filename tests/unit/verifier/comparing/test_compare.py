"""Comparing a table in databases that are lists of lines."""

from contextlib import contextmanager
from itertools import count

import pytest

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.storage.windows import END_OF_TIME, Partition, Window
from cryptocdc_verifier.comparing.canonical import key_of, time_of
from cryptocdc_verifier.comparing.tables import KEPT, Comparison

PRICES = by_table("latest_prices")
HOUR, DAY = 3_600_000, 86_400_000
ALWAYS = Window(0, END_OF_TIME)


def row(at, symbol="BTCUSDT", price="1.50", version=None):
    return f"{symbol}\t{at}\t{at * 1000 if version is None else version}\t{price}\t{at}".encode()


def partition_of(line):
    symbol, at = key_of(PRICES, line)
    return Partition((symbol.decode(),), PRICES.bucket.floor(int(at)))


class Rows:
    """PostgreSQL's rows at the time of creation."""

    def __init__(self, lines, lsn):
        self.lines, self.lsn = list(lines), lsn

    def read(self, stream, window, take):
        for line in self.lines:
            if time_of(stream, key_of(stream, line)) in window:
                take(line)

    def read_partition(self, stream, partition, window, take):
        self.read(stream, window, lambda line: take(line) if partition_of(line) == partition else None)


class Databases:
    """Both sides; one of `steps` is run each time the pipeline is waited for."""

    def __init__(self, postgres, cassandra, *steps):
        self.postgres, self.cassandra = list(postgres), list(cassandra)
        self.steps = list(steps)
        self.waits = 0
        self.lsn = count(1)

    @contextmanager
    def snapshot(self):
        yield Rows(self.postgres, next(self.lsn))

    def wait(self, _lsn):
        self.waits += 1
        if self.steps:
            self.steps.pop(0)(self)

    def read(self, stream, partitions, window):
        for partition in partitions:
            yield partition, iter([
                line for line in self.cassandra
                if partition_of(line) == partition and time_of(stream, key_of(stream, line)) in window
            ])  # fmt: skip

    def compare(self, window=ALWAYS, dropped=(), most_kept=KEPT):
        comparison = Comparison(PRICES, self, self.snapshot, self.wait, dropped=dropped)
        comparison.result.most_kept = most_kept
        with self.snapshot() as rows:
            comparison.compare(rows, window, {partition_of(line) for line in self.cassandra})
        comparison.settle()
        return comparison.result


LINES = [row(at, symbol) for at in range(0, 5 * DAY, 7 * HOUR) for symbol in ("BTCUSDT", "ETHUSDT")]


def test_equal_sides_are_equal_in_any_order_with_each_row_read_once():
    sides = Databases(LINES, reversed(LINES))
    result = sides.compare()
    assert (result.equal, result.rows, result.buckets, sides.waits) == (True, len(LINES), 10, 0)


@pytest.mark.parametrize("at", [0, 7, len(LINES) - 1])
def test_each_kind_of_difference_is_found_and_counted(at):
    line = LINES[at]
    assert kinds(Databases(LINES, [x for x in LINES if x != line])) == (1, 0, 0)
    assert kinds(Databases([x for x in LINES if x != line], LINES)) == (0, 1, 0)
    assert kinds(Databases(LINES, [x.replace(b"1.50", b"1.5") if x == line else x for x in LINES])) == (0, 0, 1)


def kinds(sides):
    result = sides.compare()
    return result.missing, result.extra, result.different


def test_an_extra_partition_is_found():
    result = Databases(LINES, [*LINES, row(12 * DAY, "GHOST")]).compare()
    assert (result.extra, result.first) == (1, 12 * DAY)
    assert result.kept[0].partition == Partition(("GHOST",), 12 * DAY)


def test_two_swapped_rows_do_not_cancel_out():
    swapped = [row(0, price="2"), row(HOUR, price="1")]
    assert kinds(Databases([row(0, price="1"), row(HOUR, price="2")], swapped)) == (0, 0, 2)


def test_a_row_that_arrives_during_the_recheck_is_not_a_difference():
    sides = Databases(LINES, LINES[1:], lambda it: it.cassandra.append(LINES[0]))
    assert sides.compare().equal


def test_a_row_that_is_one_round_late_is_not_a_difference():
    sides = Databases(LINES, LINES[1:], lambda it: None, lambda it: it.cassandra.append(LINES[0]))
    assert sides.compare().equal
    assert sides.waits == 2


@pytest.mark.parametrize(("after", "equal"), [(3, True), (2, False), (1, False)])
def test_a_row_updated_in_both_databases_meanwhile_is_not_a_difference(after, equal):
    """Cassandra has version 2; PostgreSQL has 1 before and `after` afterwards."""
    sides = Databases([], [row(0, version=2, price="9")])
    views = iter([row(0, version=1), row(0, version=after)] * 2)

    @contextmanager
    def snapshot():
        yield Rows([next(views)], 1)

    comparison = Comparison(PRICES, sides, snapshot, sides.wait)
    comparison.compare(Rows([row(0, version=1)], 1), ALWAYS, [])

    comparison.settle()
    assert comparison.result.equal is equal


def test_the_same_version_with_other_values_remains_different():
    assert kinds(Databases([row(0, price="1")], [row(0, price="2")])) == (0, 0, 1)


def test_only_the_window_is_compared():
    result = Databases(LINES, LINES[:4]).compare(Window(0, 8 * HOUR))
    assert (result.equal, result.rows) == (True, 4)


def test_rows_of_dropped_partitions_are_not_extra_but_late_rows_are_compared():
    late = row(DAY + 1, price="3")
    assert Databases([late], [row(DAY), late]).compare(dropped={DAY}).equal
    assert Databases([late], [row(DAY)]).compare(dropped={DAY}).missing == 1
    assert Databases([late], [row(2 * DAY), late]).compare(dropped={DAY}).extra == 1


def test_all_differences_are_counted_but_only_some_are_kept(monkeypatch):
    monkeypatch.setattr("cryptocdc_verifier.comparing.tables.SUSPECTS", 100)
    lines = [row(at * HOUR) for at in range(1000)]
    result = Databases(lines, []).compare()
    assert (result.missing, len(result.kept)) == (1000, KEPT)
    assert len(Databases(lines, []).compare(most_kept=300).kept) == 300


def test_a_late_row_of_a_dropped_day_may_be_older_than_cassandra_s():
    """A line of an exchange's archive, or a final candle from before the day was dropped, is newer."""
    late, archived = row(HOUR, version=5), row(HOUR, price="1.60", version=6)

    assert Databases([late], [archived]).compare(dropped={0}).equal
    assert Databases([late], [archived]).compare().different == 1
    assert Databases([late], [row(HOUR, price="1.60", version=4)]).compare(dropped={0}).different == 1
    assert Databases([late], []).compare(dropped={0}).missing == 1
