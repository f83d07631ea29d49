"""Continuous proof of captured tables, in databases that are lists of lines."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.core.feeds import feed
from tests.unit.verifier.comparing.test_compare import DAY, HOUR, PRICES, Databases, Rows, partition_of, row
from tests.unit.verifier.stored import StoredProofs

from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.windows import day_of
from cryptocdc_verifier.comparing.canonical import key_of, time_of, version_of
from cryptocdc_verifier.comparing.postgres import Sums
from cryptocdc_verifier.continuous import captured
from cryptocdc_verifier.continuous.captured import Continuous

NOW = 20_000 * DAY + 12 * HOUR
KEPT_DAYS = 2
"""How long Cassandra keeps rows here."""


class Snapshot(Rows):
    """PostgreSQL at `taken_ms`; `asked` counts how often it was asked for a table's days."""

    connection = names = None

    def __init__(self, lines, taken_ms):
        super().__init__(lines, lsn=1)
        self.taken_ms = taken_ms
        self.asked = 0

    def days(self, stream):
        self.asked += 1
        return sorted({day_of(time_of(stream, key_of(stream, line))).start for line in self.lines})

    def sums(self, stream, window):
        found = [line for line in self.lines if time_of(stream, key_of(stream, line)) in window]
        return Sums(len(found), sum(version_of(stream, line) for line in found), None)


class Verified(Databases):
    """Both sides, and a verifier."""

    connection = None

    def __init__(self, postgres, cassandra):
        super().__init__(postgres, cassandra)
        self.now, self.metrics = NOW, VerifierMetrics("test")
        target: Any = SimpleNamespace(
            feed=feed(), streams=(PRICES,), names=Names("majors"), cassandra_retention_s=KEPT_DAYS * DAY // 1000
        )
        sides: Any = self
        self.verifier = Continuous(
            target, sides, sides, sides, self.metrics, Health(60), threading.Event(), rows_per_s=1_000_000
        )

    def snapshot(self):
        self.taken = Snapshot(self.postgres, self.now)
        return nullcontext(self.taken)

    def partitions(self, _stream):
        return {partition_of(line) for line in self.cassandra}

    def missing(self):
        labels = {"feed": "majors", "table": PRICES.table, "kind": "missing"}
        return self.metrics.registry.get_sample_value("cryptocdc_verifier_differences", labels)


@pytest.fixture(autouse=True)
def _proofs_in_memory(monkeypatch):
    monkeypatch.setattr(captured, "Proofs", lambda *_: StoredProofs())
    monkeypatch.setattr(captured, "dropped_days", lambda *_: set())


def test_a_slice_that_differs_is_forgotten_once_its_rows_have_expired_in_cassandra():
    """PostgreSQL keeps the day, since it is not proven: all of its rows would be reported as missing, and repaired."""
    rows = [row(NOW - 2 * HOUR + minute * 60_000) for minute in range(30)]
    sides = Verified(rows, rows[1:])
    sides.verifier.prove()
    assert sides.missing() == 1

    sides.now += KEPT_DAYS * DAY
    sides.cassandra = []
    sides.verifier.prove()

    assert sides.missing() == 0


def test_a_table_s_days_are_looked_up_once_for_all_of_its_proofs():
    rows = [row(NOW - hours * HOUR) for hours in range(1, 12)]
    sides = Verified(rows, rows)
    sides.verifier.prove()
    sides.verifier.prove()

    assert sides.taken.asked <= 4
