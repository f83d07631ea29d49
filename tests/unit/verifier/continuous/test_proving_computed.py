"""The continuous proof of computed tables: each closed window is compared, and what differs stays reported."""

import threading
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.verifier.stored import Stored, StoredProofs, trade_line

from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.computed.tables import CLOSED_AFTER_MS
from cryptocdc_verifier.computed.windows import WindowsComparison
from cryptocdc_verifier.continuous.computed import ComputedProof
from cryptocdc_verifier.recompute.bars import BARS, BarFold
from cryptocdc_verifier.target import VerifyError

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
START_MS = 20_000 * DAY_MS + 5 * HOUR_MS + 20 * MINUTE_MS
LENGTHS = {"10s": 10_000, "1m": 60_000}


class Feed:
    """A feed whose clock, trades and bars a test sets."""

    def __init__(self, retention_s=None):
        self.stored: Any = Stored()
        self.proofs: Any = StoredProofs()
        self.now_ms = START_MS
        self.failure: str | None = None
        self.target: Any = SimpleNamespace(
            computed=(BARS,), names=SimpleNamespace(fid="fid"), cassandra_retention_s=retention_s,
            feed=SimpleNamespace(spec=SimpleNamespace(analytics=SimpleNamespace(bar_lengths=LENGTHS))),
        )  # fmt: skip
        self.restart()

    def restart(self):
        """Restart the verifier: only what is stored remains."""
        self.metrics = VerifierMetrics("0")
        self.proof = ComputedProof(
            self.target, self.proofs, self.stored, self.wait, self.metrics, threading.Event(), 10**9,
            lambda: self.now_ms,
        )  # fmt: skip

    def wait(self):
        if self.failure is not None:
            raise VerifyError(self.failure)

    def trades(self, minutes, symbol="BTCUSDT"):
        """Let minutes pass, with a trade and its bars in each. Return the open time of the first."""
        first = self.now_ms
        made: Any = Stored()
        for _ in range(minutes):
            made.trade(symbol, self.now_ms + 5_000)
            self.now_ms += MINUTE_MS
        made.compute(LENGTHS)
        self.stored.add(made)
        return first

    def prove(self, passes=1):
        for _ in range(passes):
            self.proof.prove()

    def value(self, name, **labels):
        of = {"feed": "fid", "table": "bars", **labels}
        return self.metrics.registry.get_sample_value(f"cryptocdc_verifier_{name}", of)

    @property
    def missing(self):
        return self.value("differences", kind="missing")

    @property
    def through_ms(self):
        return self.value("proven_through_timestamp_seconds") * 1000

    @property
    def provable_ms(self):
        end = self.now_ms - CLOSED_AFTER_MS
        return end - end % MINUTE_MS


@pytest.fixture
def feed():
    return Feed()


def test_closed_windows_are_proven(feed):
    feed.trades(5)
    feed.prove()
    assert (feed.missing, feed.through_ms) == (0, feed.provable_ms)
    assert feed.value("rows_total") == 2 * 4
    assert len(feed.proofs.of(BARS)) == 1


def test_a_missing_bar_is_reported_until_it_exists(feed):
    feed.trades(5)
    feed.prove()
    bar_ms = feed.trades(5)
    bar = feed.stored.take_bar("BTCUSDT", "1m", bar_ms)
    feed.prove()
    for _ in range(10):
        feed.trades(20)
        feed.prove(2)
        assert (feed.missing, feed.through_ms <= bar_ms + MINUTE_MS) == (1, True)
    feed.stored.put(BARS, bar)
    feed.prove(2)
    assert (feed.missing, feed.through_ms) == (0, feed.provable_ms)
    assert len(feed.proofs.of(BARS)) == 1


def test_only_differing_windows_of_a_slice_are_compared_again(feed):
    feed.trades(2, "ETHUSDT")
    bar_ms = feed.trades(3)
    feed.stored.take_bar("BTCUSDT", "1m", bar_ms + MINUTE_MS)
    feed.prove()
    before = feed.value("rows_total")
    feed.prove()
    assert feed.value("rows_total") - before == 2  # 1m of BTCUSDT alone


def test_a_blocked_pass_leaves_no_window_uncompared(feed):
    feed.trades(5)
    feed.prove()
    feed.failure = "the analyzer does not run"
    bar_ms = feed.trades(180)
    with pytest.raises(VerifyError):
        feed.prove()
    feed.stored.take_bar("BTCUSDT", "10s", bar_ms)
    feed.failure = None
    feed.prove()
    assert feed.through_ms < feed.provable_ms - 2 * HOUR_MS
    feed.prove(4)
    assert feed.value("rows_total") >= 2 * 184 - 1
    assert feed.missing == 1


def test_a_restart_continues_where_the_proof_was(feed):
    feed.trades(5)
    feed.prove()
    bar_ms = feed.trades(5)
    feed.stored.take_bar("BTCUSDT", "1m", bar_ms)
    feed.prove()
    feed.trades(120)
    feed.restart()
    feed.prove(4)
    assert (feed.missing, feed.through_ms <= bar_ms + MINUTE_MS) == (1, True)


def test_a_restart_before_the_first_pass_skips_nothing(feed):
    feed.failure = "the analyzer does not run"
    bar_ms = feed.trades(60) + 5 * MINUTE_MS
    with pytest.raises(VerifyError):
        feed.prove()
    feed.stored.take_bar("BTCUSDT", "1m", bar_ms)
    feed.failure = None
    feed.restart()
    feed.prove(3)
    assert (feed.missing, feed.through_ms <= bar_ms + MINUTE_MS) == (1, True)


@pytest.mark.parametrize("others", [(), ("ETHUSDT",)], ids=["the first one", "another one"])
def test_a_new_symbol_counts_from_its_first_trade(feed, others):
    for symbol in others:
        feed.trades(1, symbol)
    feed.prove()
    first_ms = feed.now_ms
    feed.stored.trade("BTCUSDT", first_ms + 5_000)  # has no bar
    feed.now_ms += 2 * MINUTE_MS
    feed.prove()
    assert feed.missing == 2
    assert feed.through_ms <= first_ms + MINUTE_MS
    feed.now_ms += 2 * HOUR_MS
    feed.prove(4)
    assert feed.missing == 2


def test_nothing_counts_as_proven_until_symbols_are_read_again(feed):
    """Symbols are not read in each pass if that takes long."""
    partitions = feed.stored.partitions

    def slow(stream):
        feed.now_ms += 5_000
        return partitions(stream)

    feed.stored.partitions = slow
    feed.prove()
    through_ms = feed.through_ms
    feed.stored.trade("BTCUSDT", feed.now_ms)
    feed.now_ms += 2 * MINUTE_MS
    feed.prove()
    assert (feed.missing, feed.through_ms) == (0, through_ms)
    feed.now_ms += 2 * MINUTE_MS
    feed.prove()
    assert feed.missing == 2


def test_a_difference_is_dropped_when_its_rows_expire():
    feed = Feed(retention_s=7_200)
    bar_ms = feed.trades(5)
    feed.stored.take_bar("BTCUSDT", "1m", bar_ms + MINUTE_MS)
    feed.prove()
    assert feed.missing == 1
    feed.trades(115)
    feed.prove(4)
    assert (feed.missing, feed.through_ms) == (0, feed.provable_ms)


def test_the_trades_of_a_symbol_are_read_once_for_all_lengths(feed):
    feed.stored.trade("BTCUSDT", START_MS + 5_000)
    lengths = {f"{seconds}s": seconds * 1000 for seconds in (1, 5, 10, 30, 60)}
    feed.stored.compute(lengths)
    comparison = WindowsComparison(BARS, lengths, BarFold, feed.stored, feed.wait)
    found = comparison.firsts()
    comparison.compare_closed(Window(START_MS, START_MS + 40 * MINUTE_MS), found)
    comparison.settle()
    assert (comparison.result.rows, comparison.result.equal) == (5, True)
    assert feed.stored.reads[RECENT_TRADES.table] == 1


def test_windows_that_cross_hours_are_compared_once(feed):
    lengths = {"45m": 45 * MINUTE_MS, "1d": DAY_MS}
    day_ms = START_MS - START_MS % DAY_MS
    for hour in range(24):
        feed.stored.trade("BTCUSDT", day_ms + hour * HOUR_MS + 5_000, hour)
    comparison = WindowsComparison(BARS, lengths, BarFold, feed.stored, feed.wait)
    comparison.compare_closed(
        Window(day_ms + DAY_MS - 1, day_ms + DAY_MS), {("BTCUSDT", "1d"): 0, ("BTCUSDT", "45m"): 0}
    )
    comparison.settle()
    (kept,) = (one for one in comparison.result.kept if one.key[1] == b"1d")
    assert (comparison.result.rows, f"\t{day_ms * 1000 + 24}\t".encode() in (kept.postgres or b"")) == (1, True)
    comparison.compare_closed(Window(day_ms, day_ms + DAY_MS), {("BTCUSDT", "45m"): 0})
    assert comparison.result.rows == 1 + 24


class Busy(Stored):
    """A symbol with `hourly` trades in each hour."""

    hourly = 200

    def read(self, stream, partitions, window):
        for partition in partitions:
            step, start = HOUR_MS // self.hourly, partition.bucket
            trades = (trade_line("BTCUSDT", start + n * step, n) for n in range(self.hourly))
            yield partition, trades if stream is RECENT_TRADES else iter(())


def test_the_trades_of_a_long_window_are_not_kept():
    day_ms = START_MS - START_MS % DAY_MS
    busy: Any = Busy()
    comparison = WindowsComparison(BARS, {"1d": DAY_MS}, BarFold, busy, lambda: None)
    tracemalloc.start()
    comparison.compare_closed(Window(day_ms, day_ms + DAY_MS), {("BTCUSDT", "1d"): day_ms})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert comparison.result.rows == 1
    assert peak < 24 * Busy.hourly * 100


def test_stopping_ends_a_comparison(feed):
    feed.trades(5)
    feed.proof._stop.set()
    with pytest.raises(VerifyError, match="stopped"):
        feed.prove()


def test_a_symbol_without_trades_since_the_start_needs_no_bars(feed):
    """A quiet symbol may have traded before Kafka's oldest record: it correctly has no bars."""
    feed.stored.trade("QUIETUSDT", START_MS - 5 * HOUR_MS)
    feed.trades(5)
    feed.prove()
    assert feed.missing == 0
