"""What a run waits for before it ends."""

from __future__ import annotations

from cryptocdc_local.running.draining import LOOK_S, OpenGap, wait_until_filled

GAPS = [OpenGap("recent_trades", "BTCUSDT", "", at, at + 1) for at in (10, 20, 30)]


class Filling:
    """Gaps as `look` finds them, one state after the other, the last one forever."""

    def __init__(self, *states: list[OpenGap]) -> None:
        self._states = list(states)
        self.now = 0.0
        self.said: list[str] = []

    def look(self) -> list[OpenGap]:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, stalled_s: float) -> float:
        """Return the seconds waited."""
        wait_until_filled(self.look, self.said.append, stalled_s, lambda: self.now, self.sleep)
        return self.now


def test_a_run_without_gaps_ends_immediately() -> None:
    assert Filling([]).wait(60) == 0


def test_a_run_waits_until_its_gaps_are_filled() -> None:
    filling = Filling(GAPS, GAPS, GAPS[1:], GAPS[2:], [])
    assert filling.wait(60) == 4 * LOOK_S
    assert filling.said[0] == "filling 3 open gaps"


def test_the_wait_continues_as_long_as_gaps_are_being_filled() -> None:
    slow = [state for gaps in (GAPS, GAPS[1:], GAPS[2:]) for state in [gaps] * 5]
    assert Filling(*slow, []).wait(6 * LOOK_S) == 15 * LOOK_S


def test_the_wait_for_a_gap_that_is_not_filled_is_limited() -> None:
    assert Filling(GAPS).wait(60) == 60


def test_new_gaps_do_not_count_as_progress() -> None:
    assert Filling(GAPS[:1], GAPS[:2], GAPS).wait(3) == 3


def test_an_open_gap_is_named() -> None:
    assert str(GAPS[0]) == "recent_trades of BTCUSDT, 10 to 11"
    assert str(OpenGap("klines", "ETHUSDT", "1m", 1, 2)) == "klines of ETHUSDT 1m, 1 to 2"
    past = OpenGap("recent_trades", "ETHUSDT", "", -1_700_000_000_000, 99, "history")
    assert str(past) == "recent_trades of ETHUSDT, those since 2023-11-14T22:13:20.000Z to 99"
