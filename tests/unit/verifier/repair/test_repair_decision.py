"""Which differing rows may be sent again, with which version, and how many."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.rows.versions import DELETION_LEAD_US, Rank
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.differences.causes import Cause, Evidence, likely_cause
from cryptocdc_verifier.differences.records import Sent
from cryptocdc_verifier.repair.decision import (
    CHANGED,
    EXTRA,
    FUTURE,
    OPEN,
    RESENT,
    SETTLED_MS,
    Allowance,
    Leave,
    Send,
    decide,
    is_final,
)

VERSION = 1_795_250_000_000_000
WALL = VERSION + 5_000_000
NOW = VERSION + 3_600_000_000
CREATED, DELETED = Sent(0, 17, "c", VERSION, VERSION), Sent(0, 18, "d", 0, VERSION + 5)
AGAIN = Sent(0, 19, "c", VERSION, VERSION + 9)
ABOVE_DELETE = VERSION + DELETION_LEAD_US + 1000


def evidence(kind, **more):
    known: dict[str, Any] = {
        "postgres_version": VERSION, "cassandra_version": None if kind == "missing" else VERSION,
        "columns": [], "write_times": {}, "op": "c", "lsn": 5, "letters": [], "sent": [], "complete": True,
    }  # fmt: skip
    return Evidence(kind=kind, **(known | more))


def decided(cause, *, now_us=NOW, final=True, resent=False):
    return decide(cause, VERSION, now_us, final=final, resent=resent)


@pytest.mark.parametrize(
    ("seen", "first", "second"),
    [
        (evidence("missing"), Send(VERSION), Send(NOW)),
        (evidence("missing", complete=False), Send(VERSION), Send(NOW)),
        (evidence("missing", sent=[CREATED]), Send(VERSION), Send(NOW)),
        (evidence("missing", sent=[CREATED, DELETED, AGAIN]), Send(ABOVE_DELETE), Send(NOW)),
        (evidence("missing", sent=[CREATED, DELETED]), Send(ABOVE_DELETE), Send(NOW)),
        (evidence("different", columns=["price"], write_times={"price": WALL, "quantity": WALL + 7}),
         Send(WALL + 1000), Send(WALL + 1000)),
        (evidence("different", columns=["price"], write_times={"price": None}), Send(VERSION), Send(NOW)),
        (evidence("different", columns=["price"], cassandra_version=VERSION - 1000,
                  write_times={"price": VERSION - 1000}), Send(VERSION), Leave(CHANGED)),
        (evidence("different", columns=["count"], write_times={"count": VERSION - 1000}), Send(VERSION),
         Leave(CHANGED)),
        (evidence("different", columns=["received_at"], write_times={"received_at": VERSION}),
         Send(VERSION + 1000), Send(VERSION + 1000)),
    ],
)  # fmt: skip
def test_a_harmless_row_is_sent_as_it_is_and_then_above_what_wins_over_it(seen, first, second):
    cause = likely_cause(seen)

    assert cause.name in RESENT
    assert decided(cause) == first
    assert decided(cause, resent=True) == second


@pytest.mark.parametrize("name", ["dead_letter", "newer_version", "same_version", "extra"])
def test_a_row_of_which_it_is_unknown_what_the_exchange_sent_is_left(name):
    assert isinstance(decided(Cause(name, "")), Leave)


def test_extra_rows_are_never_deleted():
    extra = evidence("extra", postgres_version=None, cassandra_version=VERSION)
    assert decided(likely_cause(extra)) == Leave(EXTRA)


def test_a_version_is_not_raised_into_the_future():
    cause = Cause("wall_clock", "", NOW + 10)

    assert decided(cause) == Leave(FUTURE, NOW + 1000)
    assert decided(cause, now_us=NOW + 1000) == Send(NOW + 1000)


def test_a_row_that_may_still_change_is_sent_again_but_never_with_a_raised_version():
    assert decided(Cause("never_sent", ""), final=False) == Send(VERSION)
    assert decided(Cause("never_sent", ""), final=False, resent=True) == Leave(OPEN)
    assert decided(Cause("wall_clock", "", WALL), final=False) == Leave(OPEN)


@given(
    st.sampled_from(sorted(RESENT)), st.none() | st.integers(0, 2 * NOW), st.integers(0, 2 * NOW),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_version_never_falls_and_is_raised_at_most_to_the_present(name, wins_us, now_us, final, resent):
    action = decided(Cause(name, "", wins_us), now_us=now_us, final=final, resent=resent)

    if isinstance(action, Send) and action.version != VERSION:
        assert final
        assert action.version <= now_us
        assert action.version % 1000 == Rank.OPEN
        assert wins_us is None or resent or action.version > max(VERSION, wins_us)


def line(table, **given):
    stream = by_table(table)
    return "\t".join(str(given.get(column.name, "1")) for column in ordered(stream)).encode()


@pytest.mark.parametrize(
    ("table", "row", "final_from"),
    [
        ("recent_trades", {"trade_time": 1000}, 1000 + SETTLED_MS),
        ("order_book", {"bucket_time": 1000, "event_time": 1900}, 1900 + SETTLED_MS),
        ("klines", {"open_time": 0, "close_time": 59_999, "event_time": 5, "closed": "t"}, 59_999 + SETTLED_MS),
    ],
)
def test_a_row_is_final_some_time_after_its_end(table, row, final_from):
    stream = by_table(table)

    assert is_final(stream, line(table, **row), final_from)
    assert not is_final(stream, line(table, **row), final_from - 1)


def test_an_open_candle_is_never_final():
    assert not is_final(by_table("klines"), line("klines", closed="f"), NOW)


def test_an_allowance_is_spent_and_recovers_after_its_time():
    now = 0.0
    allowance = Allowance(10, 3600, lambda: now)

    assert (allowance(4), allowance(9), allowance(1)) == (4, 6, 0)
    now = 3599.0
    assert allowance(1) == 0
    now = 3600.0
    assert allowance(12) == 10


def test_an_allowance_without_a_time_is_spent_for_good():
    now = 0.0
    allowance = Allowance(10, None, lambda: now)
    assert allowance(12) == 10
    now = 1e9
    assert allowance(1) == 0
