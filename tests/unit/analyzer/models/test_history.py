"""What a window is compared with is complete, whatever was in memory: rows depend on the windows alone."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

from cryptocdc_analyzer.models.anomalies import REACH, rows
from cryptocdc_analyzer.models.history import Facts, History
from cryptocdc_analyzer.models.recent import RecentBooks
from cryptocdc_core.catalogue.computed import BOOK_METRICS, RUN_WINDOWS, WARM_WINDOWS
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS

LENGTH_MS = 1_000
REACH_MS = RUN_WINDOWS * LENGTH_MS
START_MS = 1_790_000_000_000 // REACH_MS * REACH_MS
OF = "BTCUSDT", "1s"


def facts(samples, volume="1"):
    return Facts(samples, (("volume", Decimal(volume)),), 5, 6)


def at(place):
    return START_MS + place * LENGTH_MS


def windows(count, seed=1):
    random = Random(seed)
    return {at(place): facts(random.randrange(1, 9), str(random.randrange(1, 99))) for place in range(count)}


def computed(history):
    return {
        (row["open_time"], row["kind"]): row
        for run in history.take()
        for row in rows((run.symbol, run.interval), run.length_ms, run.windows, run.wanted)
    }


def expected(known):
    """The rows of all windows but the newest, each computed on its own."""
    found = {}
    for open_ms in sorted(known)[:-1]:
        since = open_ms // REACH_MS * REACH_MS - REACH_MS
        run = [(one, known[one]) for one in sorted(known) if since <= one <= open_ms]
        (row,) = rows(OF, LENGTH_MS, run, {open_ms})
        found[open_ms, "volume"] = row
    return found


def load(history, stored):
    asked = history.wanted()
    for past in asked:
        history.load(past, {one: known for one, known in stored.items() if past.start_ms <= one < past.end_ms})
    return asked


def played(known, history, stored):
    """Put windows in the order given, load what is wanted, and return the newest version of each row."""
    made: dict[tuple[int, str], dict[str, Any]] = {}
    for open_ms, one in known:
        history.put(*OF, open_ms, one)
        load(history, stored)
        for key, row in computed(history).items():
            if key not in made or made[key]["version"] <= row["version"]:
                made[key] = row
    return made


def test_each_window_is_compared_once_the_next_one_begins():
    known = windows(3 * RUN_WINDOWS)
    history = History({"1s": LENGTH_MS}, at(0) - FUTURE_TOLERANCE_MS, REACH)
    made = played(known.items(), history, {})
    assert made == expected(known)
    scores = [row["score"] for row in made.values()]
    assert scores.count(None) == WARM_WINDOWS


def test_a_restart_reads_what_it_needs_and_computes_the_same():
    known = windows(3 * RUN_WINDOWS)
    for restart in (1, 40, 60, 61, 100, 150):
        items = list(known.items())
        history = History({"1s": LENGTH_MS}, at(restart) - FUTURE_TOLERANCE_MS, REACH)
        made = played(items[restart:], history, dict(items[:restart]))
        whole = expected(known)
        # The row of the last window before the restart may not have been written.
        assert made == {key: whole[key] for key in whole if key[0] >= at(restart - 1)}


def test_the_window_before_a_restart_is_compared_although_many_windows_are_read_at_once():
    known = windows(3 * RUN_WINDOWS)
    items = list(known.items())
    whole = expected(known)
    for restart in (100, 2 * RUN_WINDOWS):  # also with the first window of a run
        for since_ms in (at(restart) - FUTURE_TOLERANCE_MS, at(50 * RUN_WINDOWS)):
            history = History({"1s": LENGTH_MS}, since_ms, REACH)
            for open_ms, one in items[restart:]:
                history.put(*OF, open_ms, one)
            made: dict[tuple[int, str], dict[str, Any]] = {}
            while load(history, known):
                made |= computed(history)
            assert made == {key: row for key, row in whole.items() if key[0] >= at(restart - 1)}


def test_the_window_before_a_restart_is_compared_although_it_was_hours_ago():
    recent = RecentBooks({"5s": 5_000}, START_MS)
    recent.add(BOOK_METRICS.table, book(7_200_000))
    early = [book(0), book(5_000)]
    for _ in recent.load(Stored(*early)):
        pass
    assert [open_ms for open_ms, _ in newest(recent, *early)] == [5_000, 5_000]


def test_what_kafka_still_has_is_computed_again_long_before_the_present():
    known = windows(2 * RUN_WINDOWS + 5)
    history = History({"1s": LENGTH_MS}, at(50 * RUN_WINDOWS), REACH)
    made = played(known.items(), history, known)
    assert made == expected(known)


def test_a_window_that_is_corrected_late_corrects_those_that_are_compared_with_it():
    known = windows(5 * RUN_WINDOWS)
    history = History({"1s": LENGTH_MS}, at(0) - FUTURE_TOLERANCE_MS, REACH)
    made = played(known.items(), history, {})
    for place in (290, 250, 200, 70, 3):
        known[at(place)] = facts(50, "5000")
        history.put(*OF, at(place), known[at(place)])
        load(history, known)
        corrected = computed(history)
        assert min(open_ms for open_ms, _ in corrected) == at(place)
        made |= corrected
        whole = expected(known)
        assert made == whole
    # Corrected ones are in the past of those after them.
    assert [made[at(place), "volume"]["anomaly"] for place in (70, 200, 250)] == [False, True, False]


def test_a_late_window_that_is_the_first_after_a_restart_corrects_the_windows_after_it():
    known = windows(3 * RUN_WINDOWS)
    known[at(3)] = facts(50, "5000")
    history = History({"1s": LENGTH_MS}, at(50 * RUN_WINDOWS), REACH)
    history.put(*OF, at(3), known[at(3)])
    made: dict[tuple[int, str], dict[str, Any]] = {}
    while load(history, known):
        made |= computed(history)
    history.put(*OF, at(3 * RUN_WINDOWS), facts(1))
    while load(history, known):
        made |= computed(history)
    whole = expected(known)
    corrected = {key: row for key, row in whole.items() if at(3) <= key[0] < at(2 * RUN_WINDOWS)}
    assert {key: made.get(key) for key in corrected} == corrected


def test_a_window_with_fewer_trades_than_is_known_changes_nothing():
    history = History({"1s": LENGTH_MS}, at(0) - FUTURE_TOLERANCE_MS, REACH)
    played(windows(80).items(), history, {})
    history.put(*OF, at(70), facts(0))
    assert (computed(history), history.wanted()) == ({}, [])


def book(ms, spread="0.1", version=0):
    at_ms = START_MS + ms
    return {
        "symbol": OF[0], "bucket_time": at_ms, "spread": spread, "event_time": at_ms + 500, "received_at": at_ms + 510,
        "version": at_ms * 1000 + 500_000 + version,
    }  # fmt: skip


class Stored:
    """Rows of book_metrics as the driver returns them."""

    def __init__(self, *books):
        self.books = books

    def __call__(self, stream, past):
        assert stream is BOOK_METRICS
        epoch = datetime(1970, 1, 1)
        for one in self.books:
            if past.start_ms <= one["bucket_time"] < past.end_ms:
                times = {
                    name: epoch + timedelta(milliseconds=one[name])
                    for name in ("bucket_time", "event_time", "received_at")
                }
                yield [SimpleNamespace(**one | {"spread": Decimal(one["spread"])} | times)]


def newest(recent, *stored):
    for _ in recent.load(Stored(*stored)):
        pass
    return {(row["open_time"] - START_MS, row["kind"]): row for row in recent.take()}


def test_order_books_that_were_read_before_a_restart_are_in_their_window_as_well():
    recent = RecentBooks({"5s": 5_000}, START_MS)
    recent.add(BOOK_METRICS.table, book(3_000))
    recent.add(BOOK_METRICS.table, book(5_000))
    made = newest(recent, book(1_000, "0.3"), book(2_000, "0.3"), book(3_000), book(5_000))
    assert made[0, "quote_rate"]["value"] == "0.6"
    assert made[0, "spread"]["value"] == "0.2333333333333333"


def test_a_symbol_that_was_in_another_partition_before_has_its_window_and_its_past_read():
    recent = RecentBooks({"5s": 5_000}, START_MS - 3_600_000)
    recent.add(BOOK_METRICS.table, book(3_000))
    recent.add(BOOK_METRICS.table, book(5_000))
    made = newest(recent, book(-5_000), *[book(ms) for ms in range(0, 6_000, 1_000)])
    assert (made[0, "quote_rate"]["value"], made[0, "quote_rate"]["window_count"]) == ("1", 1)
    known = windows(RUN_WINDOWS)
    history = History({"1s": LENGTH_MS}, at(-50 * RUN_WINDOWS), REACH)
    late = facts(9)._replace(received_ms=at(40))  # fetched when another partition had the windows up to now
    known[at(3)] = late
    made = played([(at(3), late), *[(at(place), known[at(place)]) for place in range(41, 60)]], history, known)
    assert {key: made.get(key) for key in expected(known) if key[0] > at(40)} == {
        key: row for key, row in expected(known).items() if key[0] > at(40)
    }


def test_an_order_book_that_comes_late_makes_its_window_be_read_again():
    recent = RecentBooks({"5s": 5_000}, START_MS - FUTURE_TOLERANCE_MS)
    stored = [book(ms) for ms in range(0, 60_000, 1_000) if ms != 2_000]
    for one in stored:
        recent.add(BOOK_METRICS.table, one)
        newest(recent)
    late = book(2_000, "0.6")
    recent.add(BOOK_METRICS.table, late)
    assert recent.wanted()
    made = newest(recent, *stored)
    assert (made[0, "quote_rate"]["value"], made[0, "spread"]["value"]) == ("1", "0.2")


def test_a_newer_version_of_an_order_book_replaces_the_older():
    recent = RecentBooks({"5s": 5_000}, START_MS - FUTURE_TOLERANCE_MS)
    recent.add(BOOK_METRICS.table, book(0))
    recent.add(BOOK_METRICS.table, book(5_000))
    before = newest(recent)[0, "spread"]
    recent.add(BOOK_METRICS.table, book(0, "0.4", version=1))
    after = newest(recent)[0, "spread"]
    assert (before["value"], after["value"]) == ("0.1", "0.4")
    assert after["version"] > before["version"]
