"""Repairing rows in databases that are lists of lines, and the report of it."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.verifier.comparing.test_compare import ALWAYS, PRICES, Databases, partition_of, row

from cryptocdc_verifier.comparing.canonical import key_of
from cryptocdc_verifier.comparing.tables import Comparison
from cryptocdc_verifier.differences.causes import Cause
from cryptocdc_verifier.differences.dead_letters import Pending
from cryptocdc_verifier.differences.explain import Finding
from cryptocdc_verifier.repair import repairs as repair
from cryptocdc_verifier.repair.decision import (
    EXTRA,
    FUTURE,
    LETTERS,
    LIMIT,
    OPEN,
    RESENT,
    SETTLED_MS,
    TRANSFORM,
    UNSEEN,
    Leave,
)
from cryptocdc_verifier.repair.repairs import Repairer, Repairs

NOW_MS = 10 * SETTLED_MS
OLD = [row(at) for at in range(0, 5000, 1000)]
HIDDEN_US = 5_000_000
"""The write time of what hides a row in this Cassandra."""


class Repaired(Databases):
    """Both sides with a pipeline: what is sent again arrives unless a tombstone with HIDDEN_US hides it."""

    def __init__(self, postgres, cassandra, hidden=()):
        super().__init__(postgres, cassandra)
        self.hidden = {key_of(PRICES, line) for line in hidden}
        self.sent = []
        self.connection = None

    def resend(self, _connection, _names, stream, rows):
        for key, before, after in rows:
            self.sent.append((key, after))
            at = next(i for i, line in enumerate(self.postgres) if key_of(PRICES, line) == key)
            line = self.postgres[at].split(b"\t")
            assert int(line[2]) == before
            line[2] = str(after).encode()
            self.postgres[at] = b"\t".join(line)
            if key not in self.hidden or after > HIDDEN_US:
                self.cassandra = [old for old in self.cassandra if key_of(PRICES, old) != key]
                self.cassandra.append(self.postgres[at])
        return len(rows)


@pytest.fixture
def letters():
    return Pending()


@pytest.fixture
def repaired(monkeypatch, letters):
    """Return a function that compares two databases, repairs them, and returns the comparison's result and the
    repairs."""

    def run(sides, rows=1000, transform=None, causes=None, at_ms=NOW_MS):
        """`causes`: the cause by key, where it is not the usual one of the kind of difference."""

        def investigated(_target, _cassandra, _pending, _stream, differences):
            usual = {"missing": "never_sent", "different": "update_lost", "extra": "extra"}
            return [
                Finding(found, (causes or {}).get(found.key, Cause(usual[found.kind], "")), [], {}, {}, [])
                for found in differences
            ]

        monkeypatch.setattr(repair, "investigate", investigated)
        monkeypatch.setattr(repair, "read_pending", lambda *_: letters)
        monkeypatch.setattr(repair, "resend", sides.resend)
        monkeypatch.setattr(repair, "now_ms", lambda: at_ms)
        spec = SimpleNamespace(transform=transform)
        target: Any = SimpleNamespace(feed=SimpleNamespace(spec=spec), kafka=None, names=None)
        repairer = Repairer(target, sides, sides, sides.wait, lambda wanted: min(wanted, rows))
        comparison = Comparison(PRICES, sides, sides.snapshot, sides.wait, resolve=repairer.resolve)
        with sides.snapshot() as snapshot:
            comparison.compare(snapshot, ALWAYS, {partition_of(line) for line in sides.cassandra})
        comparison.settle()
        return comparison.result, repairer.repairs

    return run


def test_missing_and_different_rows_are_sent_again_with_their_version(repaired):
    sides = Repaired(OLD, [row(1000, version=1), *OLD[2:]])

    result, repairs = repaired(sides)

    assert result.equal
    assert dict(repairs.repaired) == {("latest_prices", "never_sent"): 1, ("latest_prices", "update_lost"): 1}
    assert sorted(version for _, version in sides.sent) == [0, 1_000_000]


def test_a_row_that_stays_missing_is_sent_a_second_time_with_the_present_as_its_version(repaired):
    sides = Repaired(OLD, OLD[1:], hidden=OLD[:1])

    result, repairs = repaired(sides)

    assert result.equal
    assert dict(repairs.repaired) == {("latest_prices", "never_sent"): 1}
    assert [version for _, version in sides.sent] == [0, NOW_MS * 1000]


@pytest.mark.parametrize("name", sorted(RESENT))
def test_rows_are_counted_with_exactly_the_cause_of_their_difference(repaired, name):
    sides = Repaired(OLD, OLD[1:], hidden=OLD[:1] if name in UNSEEN else ())

    result, repairs = repaired(sides, causes={key_of(PRICES, OLD[0]): Cause(name, "")})

    assert result.equal
    assert dict(repairs.repaired) == {("latest_prices", name): 1}
    assert [version for _, version in sides.sent] == [0, NOW_MS * 1000][: len(sides.hidden) + 1]


def test_rows_that_a_delete_hides_are_repaired_once_its_time_has_passed(repaired):
    sides = Repaired(OLD, OLD[2:], hidden=OLD[:2])
    causes = {
        key_of(PRICES, line): Cause(name, "", HIDDEN_US)
        for line, name in zip(OLD, ("delete_wins", "insert_lost"), strict=False)
    }

    result, repairs = repaired(sides, causes=causes, at_ms=HIDDEN_US // 1000)

    assert (result.missing, sides.sent) == (2, [])
    assert dict(repairs.left) == {
        ("latest_prices", "delete_wins", FUTURE): 1, ("latest_prices", "insert_lost", FUTURE): 1,
    }  # fmt: skip
    assert repairs.until_us == {"latest_prices": HIDDEN_US + 1000}

    result, repairs = repaired(sides, causes=causes)

    assert result.equal
    assert dict(repairs.repaired) == {("latest_prices", "delete_wins"): 1, ("latest_prices", "insert_lost"): 1}
    assert [version for _, version in sides.sent] == [HIDDEN_US + 1000] * 2


def test_a_row_that_may_still_change_is_sent_again_but_not_raised(repaired):
    young = row(NOW_MS, version=7)
    sides = Repaired([young], [], hidden=[young])

    result, repairs = repaired(sides)

    assert (result.missing, sides.sent) == (1, [(key_of(PRICES, young), 7)])
    assert dict(repairs.left) == {("latest_prices", "never_sent", OPEN): 1}


def test_nothing_of_a_table_with_extra_rows_is_repaired(repaired):
    sides = Repaired(OLD[1:], OLD[:-1])

    result, repairs = repaired(sides)

    assert (result.missing, result.extra, sides.sent) == (1, 1, [])
    assert dict(repairs.left) == {("latest_prices", "missing", EXTRA): 1, ("latest_prices", "extra", EXTRA): 1}


def test_no_more_rows_are_repaired_than_allowed(repaired):
    sides = Repaired(OLD, [])

    result, repairs = repaired(sides, rows=3)

    assert (result.missing, len(sides.sent)) == (2, 3)
    assert dict(repairs.left) == {("latest_prices", "never_sent", LIMIT): 2}


def test_a_feed_with_a_transform_is_not_repaired(repaired):
    result, repairs = repaired(Repaired(OLD, OLD[1:]), transform="dust:without")

    assert result.missing == 1
    assert dict(repairs.left) == {("latest_prices", "missing", TRANSFORM): 1}


def test_nothing_is_repaired_while_not_all_dead_letters_are_known(repaired, letters):
    letters.symbols["BTCUSDT"] = 5

    result, repairs = repaired(Repaired(OLD, OLD[1:]))

    assert result.missing == 1
    assert dict(repairs.left) == {("latest_prices", "missing", LETTERS): 1}


def test_the_report_counts_by_table_and_cause():
    repairs = Repairs()
    repairs.repaired["klines", "update_lost"] = 3
    repairs.leave("klines", "delete_wins", Leave(LIMIT, 1_795_262_400_000_000), 2)
    repairs.leave("latest_prices", "extra", Leave(EXTRA))
    repairs.leave("order_book", "missing", Leave(LIMIT), 0)

    assert repairs.to_json() == {
        "repaired": 3,
        "left": 3,
        "tables": {
            "klines": {
                "repaired": 3,
                "causes": {"update_lost": 3},
                "left": [{"cause": "delete_wins", "rows": 2, "why": LIMIT.text}],
                "repairable_from": "2026-11-21T12:00:00.000Z",
            },
            "latest_prices": {
                "repaired": 0, "causes": {}, "left": [{"cause": "extra", "rows": 1, "why": EXTRA.text}],
            },
        },
    }  # fmt: skip
