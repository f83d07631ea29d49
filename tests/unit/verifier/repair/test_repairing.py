"""Continuous repair: when it tries, and what it logs and publishes."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed.repair import Repair
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.comparing.tables import count_all
from cryptocdc_verifier.repair import continuous as repairing
from cryptocdc_verifier.repair.continuous import AGAIN_S, Repairing
from cryptocdc_verifier.repair.decision import EXTRA, LIMIT, Leave

KLINES = by_table("klines")
SLICE = Window(0, 60_000)


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(repairing, "time", made)
    return made


def repairing_of(metrics, **spec):
    target: Any = SimpleNamespace(
        feed=SimpleNamespace(spec=SimpleNamespace(repair=Repair(**spec))), names=SimpleNamespace(fid="majors")
    )
    none: Any = None
    return Repairing(target, none, none, none, metrics, none, none)


def value(metrics, what, **labels):
    return metrics.registry.get_sample_value(f"cryptocdc_verifier_{what}", {"feed": "majors", **labels})


def test_a_feed_without_repair_only_counts_its_differences(clock):
    it = repairing_of(VerifierMetrics("test"))

    assert it.begin(KLINES, SLICE, extra=False) is count_all
    it.end(KLINES, SLICE)


def test_what_was_repaired_is_counted_and_logged_with_its_cause(clock, caplog):
    metrics = VerifierMetrics("test")
    it = repairing_of(metrics, enabled=True)
    it.begin(KLINES, SLICE, extra=False)
    it._repairer.repairs.repaired["klines", "update_lost"] = 3

    with caplog.at_level(logging.WARNING):
        it.end(KLINES, SLICE)

    assert value(metrics, "repaired_rows_total", table="klines", cause="update_lost") == 3
    assert "klines: repaired 3 rows" in caplog.text
    assert "update_lost" in caplog.text


def test_what_was_left_is_published_until_the_slice_is_equal_and_logged_once(clock, caplog):
    metrics = VerifierMetrics("test")
    it = repairing_of(metrics, enabled=True)
    for _ in range(2):
        it.begin(KLINES, SLICE, extra=False)
        it._repairer.repairs.leave("klines", "never_sent", Leave(LIMIT), 4)
        it.end(KLINES, SLICE)
        clock.now += AGAIN_S
    it.publish(KLINES, [SLICE])

    assert value(metrics, "unrepaired_rows", table="klines", reason="limit") == 4
    assert caplog.text.count(LIMIT.text) == 1
    it.publish(KLINES, [])
    assert value(metrics, "unrepaired_rows", table="klines", reason="limit") == 0


def test_a_slice_with_left_rows_is_only_compared_for_a_while(clock):
    it = repairing_of(VerifierMetrics("test"), enabled=True)
    it.begin(KLINES, SLICE, extra=False)
    it._repairer.repairs.leave("klines", "extra", Leave(EXTRA))
    it.end(KLINES, SLICE)

    assert it.begin(KLINES, SLICE, extra=False) is count_all
    assert it.begin(KLINES, Window(60_000, 120_000), extra=False) is not count_all
    clock.now += AGAIN_S
    assert it.begin(KLINES, SLICE, extra=False) is not count_all


def test_extra_rows_of_another_slice_stop_the_repair_of_their_table(clock):
    it = repairing_of(VerifierMetrics("test"), enabled=True)

    it.begin(KLINES, SLICE, extra=True)
    assert it._repairer.with_extra == {"klines"}
    it.begin(KLINES, SLICE, extra=False)
    assert it._repairer.with_extra == set()
