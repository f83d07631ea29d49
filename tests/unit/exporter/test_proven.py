"""Which hours are proven, by which slices."""

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Window
from cryptocdc_exporter.proven import HOUR_MS, UNPROVEN, Proven, hours_of

DAY = 20_000 * DAY_MS
HOUR = Window(DAY + HOUR_MS, DAY + 2 * HOUR_MS)
MINUTE_MS = 60_000


def proof(start_minute: int, end_minute: int, rows: int = 5) -> Proof:
    return Proof(Window(HOUR.start + start_minute * MINUTE_MS, HOUR.start + end_minute * MINUTE_MS), rows, rows * 10, 7)


def test_an_hour_is_proven_by_the_slices_that_cover_it() -> None:
    found = Proven([proof(-60, 0), proof(0, 30, 2), proof(30, 60, 3), proof(60, 70)], ()).hour(HOUR)
    assert found is not None
    assert (found.rows, found.versions, len(found.slices)) == (5, 50, 2)


def test_an_hour_with_an_unproven_minute_is_not_proven() -> None:
    assert Proven([proof(0, 30), proof(31, 60)], ()).hour(HOUR) is None
    assert Proven([], ()).hour(HOUR) is None


def test_a_day_that_was_dropped_is_proven_without_the_number_of_its_rows() -> None:
    found = Proven([], {DAY}).hour(HOUR)
    assert found is not None
    assert (found.rows, found.versions) == (None, None)
    assert Proven([], {DAY}).through() == DAY + DAY_MS


def test_the_proof_of_a_dropped_day_follows_that_of_its_rows_unless_more_was_loaded_from_an_archive() -> None:
    exact, dropped = Proven([proof(0, 60)], ()).hour(HOUR), Proven([], {DAY}).hour(HOUR)
    loaded = Proven([], {DAY}, archived={DAY: 5}).hour(HOUR)
    assert exact is not None
    assert dropped is not None
    assert loaded is not None
    assert dropped.follows(exact.of_rows)
    assert not loaded.follows(exact.of_rows)
    assert not exact.follows(dropped.of_rows)
    assert not dropped.follows(loaded.of_rows)
    assert not dropped.follows(UNPROVEN)


def test_windows_of_a_computed_table_are_proven_once_the_longest_that_opens_in_the_hour_has_closed() -> None:
    length = 15 * MINUTE_MS
    assert Proven([proof(0, 60)], (), True, length).hour(HOUR) is None
    found = Proven([proof(0, 75)], (), True, length).hour(HOUR)
    assert found is not None
    assert found.rows is None


def test_what_is_proven_through_is_a_full_hour() -> None:
    assert Proven([proof(0, 59)], ()).through() == HOUR.start
    assert Proven([], ()).through() == 0


def test_hours_that_overlap_a_window() -> None:
    assert list(hours_of(Window(HOUR.start + 1, HOUR.end + 1))) == [HOUR, Window(HOUR.end, HOUR.end + HOUR_MS)]
