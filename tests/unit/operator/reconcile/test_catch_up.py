"""A proof of the past that approaches the present is not behind; one that does not is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.world import World

from cryptocdc_operator.status.assess import Proof
from cryptocdc_operator.status.catch_up import PATIENCE, STALE, track_catch_up

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def said(reaches):
    """Return, for each minute's age of the newest proven moment in minutes, whether it counts as catching up."""
    state, earlier, found = None, None, []
    for at, minutes in enumerate(reaches):
        now = NOW + at * MINUTE
        through = now - minutes * MINUTE
        state = track_catch_up(state, earlier, through, now)
        earlier = through
        found.append("recent" if state is None else "gains" if state.gaining else "behind")
    return found


def test_a_recreated_feed_catches_up():
    """Eighteen minutes of old rows, proven again at twice the rate at which new ones arrive."""
    assert said([18, 18, 17, 16, 15]) == ["gains"] * 4 + ["recent"]
    assert said([180, 170, 171, 172, 60]) == ["gains"] * 5


def test_two_days_of_the_past_count_as_catching_up():
    assert set(said([2880 - 2 * at for at in range(1000)])) == {"gains"}


def test_a_proof_that_stops_is_behind_once_it_is_old():
    assert said([1, 1, *range(2, 20)]) == ["recent"] * 16 + ["behind"] * 4


def test_a_proof_of_the_past_that_stops_is_behind_after_a_while():
    patience = int(PATIENCE / MINUTE)
    assert said([100, 99, *range(100, 120)]) == ["gains"] * (patience + 2) + ["behind"] * (20 - patience)


def test_a_proof_that_is_slower_than_the_present_falls_behind():
    assert set(said([20 + at / 2 for at in range(60)])[12:]) == {"behind"}
    at_the_pace_of_the_present = [20, 20.9, 20, 20.9]
    assert set(said(at_the_pace_of_the_present * 10)[12:]) == {"behind"}


def test_a_proof_that_is_withdrawn_catches_up():
    """A backfill does this: it adds rows to slices that were proven."""
    assert said([1, 1, 300, 298]) == ["recent", "recent", "gains", "gains"]


def test_a_late_proof_catches_up_once_it_advances():
    assert said([1, *range(2, 60), 40, 30]) == ["recent"] * 15 + ["behind"] * 44 + ["gains"] * 2


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50))
def test_a_proof_is_recent_exactly_while_it_is_not_stale(reaches):
    for minutes, found in zip(reaches, said(reaches), strict=True):
        assert (found == "recent") == (minutes * MINUTE <= STALE)


@pytest.fixture
def world():
    made = World(streams={"klines": {}})
    made.run()
    return made


def test_a_recreated_feed_is_ready_while_its_old_rows_are_proven_again(world):
    assert world.delete()
    world.make_feed("majors", streams={"klines": {}})
    world.proof = Proof(0, 10, world.at - timedelta(minutes=18))
    world.run()
    assert world.said("Proven") == ("Unknown", "CatchingUp")
    assert "18 minutes" in world.condition("Proven")["message"]
    assert world.said("Ready") == ("True", "Capturing")
    assert world.feed()["status"]["catchUp"]["distanceSeconds"] >= 18 * 60
    world.proof = Proof(0, 10, world.at)
    world.reconcile()
    assert world.said("Proven") == ("True", "Equal")
    assert "catchUp" not in world.feed()["status"]


def test_a_proof_that_stops_is_still_behind(world):
    world.at += timedelta(minutes=18)
    world.reconcile()
    assert world.said("Proven") == ("False", "Behind")
    assert world.said("Ready") == ("False", "Behind")
