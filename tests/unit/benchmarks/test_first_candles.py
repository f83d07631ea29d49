"""The candles that the benchmark of a start waits for."""

from bench.parts.first_row import final_candles

MINUTE_MS = 60_000
NOON = 1_795_262_400_000


def test_every_final_candle_of_the_last_24_hours_is_waited_for() -> None:
    assert len(final_candles(NOON)) == 1439, "the last one has just closed and may still be revised"
    whole = final_candles(NOON + 30_000)
    assert (whole[0], whole[-1], len(whole)) == (NOON - 1439 * MINUTE_MS, NOON - MINUTE_MS, 1439)


def test_candles_that_opened_before_the_last_24_hours_are_not_waited_for() -> None:
    """A feed that starts with a day of candles begins with the first that opened within it."""
    assert final_candles(NOON + 1)[0] == NOON - 1439 * MINUTE_MS
