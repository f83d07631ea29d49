"""The plain computation of forecasts gives the analyzer's own rows to the digit, whatever came in which order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.verifier.recompute.test_recompute_anomalies import line

from cryptocdc_analyzer.models.history import Past
from cryptocdc_analyzer.models.recent import RecentForecasts
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.computed import BARS, FORECAST_RUN_WINDOWS, FORECASTS, VOLATILITY
from cryptocdc_core.rows.versions import FUTURE_TOLERANCE_MS
from cryptocdc_core.time.times import millis
from cryptocdc_verifier.recompute.forecasts import lines_of, windows_of

LENGTH_MS = 60_000
RUN_MS = FORECAST_RUN_WINDOWS * LENGTH_MS
START_MS = 1_790_000_000_000 // RUN_MS * RUN_MS
OF = "BTCUSDT", "1m"
EPOCH = datetime(1970, 1, 1)

Window = tuple[dict[str, Any], dict[str, Any]]
"""A bar, and the volatility of the same trades."""


def window(random: Random, at: int, volatility: float, count: int) -> Window:
    price = random.choice(["100", "99.5", "0.00010", "64000.10"])
    realized = random.choices(
        [format(Decimal(volatility * random.random()).quantize(Decimal("1e-12")), "f"), "0", None], [20, 1, 1]
    )[0]
    close = format(Decimal(price) * (1 + Decimal(random.gauss(0, volatility)).quantize(Decimal("1e-6"))), "f")
    key = {"symbol": OF[0], "interval": OF[1], "open_time": at, "trade_count": count, "version": at * 1000 + count}
    times = {"event_time": at + count, "received_at": at + count + 9}
    bar = dict.fromkeys(BARS.column_names, "0") | key | times | {"open": price, "close": close}
    return bar, dict.fromkeys(VOLATILITY.column_names, "0") | key | times | {"realized": realized}


def windows(seed: int, places: list[int]) -> dict[int, Window]:
    random, volatility = Random(seed), 0.001
    found: dict[int, Window] = {}
    for place in places:
        volatility = 0.0001 + 0.9 * volatility + 0.0002 * random.random()
        at = START_MS + place * LENGTH_MS
        found[at] = window(random, at, volatility, random.randrange(1, 50))
    return found


def recomputed(known: dict[int, Window]) -> dict[int, bytes]:
    """Return the lines of all windows but the newest."""
    stored = windows_of(
        [line(BARS, bar) for bar, _ in known.values()], [line(VOLATILITY, other) for _, other in known.values()]
    )
    found: dict[int, bytes] = {}
    for run_ms in range(START_MS, max(known) + 1, RUN_MS):
        near = {at: one for at, one in stored.items() if run_ms - 2 * RUN_MS <= at < run_ms + RUN_MS}
        found |= {at: text for (at, _), text in lines_of(*OF, LENGTH_MS, run_ms, near).items()}
    return {at: text for at, text in found.items() if at != max(known)}


class Store:
    """The tables in Cassandra: the newest version of each row."""

    def __init__(self) -> None:
        self.sources: dict[int, Window] = {}
        self.forecasts: dict[int, dict[str, Any]] = {}

    def read(self, stream: Stream, past: Past) -> Iterator[list[Any]]:
        names = {BARS: ("open", "close", "volume", "trade_count", "event_time", "received_at")}
        for at, both in sorted(self.sources.items()):
            if past.start_ms <= at < past.end_ms:
                row = both[stream is VOLATILITY]
                wanted = ("open_time", *names.get(stream, ("realized", "trade_count")))
                yield [Row({name: stored(name, row[name]) for name in wanted})]

    def write(self, recent: RecentForecasts) -> None:
        for row in recent.take():
            at = row["open_time"]
            if at not in self.forecasts or self.forecasts[at]["version"] <= row["version"]:
                self.forecasts[at] = row

    def lines(self) -> dict[int, bytes]:
        newest = max(self.sources)
        return {at: line(FORECASTS, row) for at, row in self.forecasts.items() if at != newest}


class Row(SimpleNamespace):
    """A row as the driver returns it: a named tuple."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(**given)

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self).values())


def stored(name: str, value: Any) -> Any:
    if name in ("open_time", "event_time", "received_at"):
        return EPOCH + timedelta(milliseconds=value)
    return Decimal(value) if isinstance(value, str) else value


def give(recent: RecentForecasts, store: Store, found: Window) -> None:
    bar, other = found
    at = bar["open_time"]
    recent.add(BARS.table, bar)
    recent.add(VOLATILITY.table, other)
    if at not in store.sources or store.sources[at][0]["trade_count"] <= bar["trade_count"]:
        store.sources[at] = found


def settle(recent: RecentForecasts, store: Store) -> None:
    while recent.wanted():
        for _ in recent.load(store.read):
            pass
        store.write(recent)
    store.write(recent)


def test_both_computations_agree_to_the_digit() -> None:
    assert millis(EPOCH) == 0
    for seed in range(3):
        random = Random(seed)
        known = windows(seed, sorted(random.sample(range(3 * FORECAST_RUN_WINDOWS), 340 - 30 * seed)))
        recent, store = RecentForecasts({"1m": LENGTH_MS}, START_MS - FUTURE_TOLERANCE_MS), Store()
        for found in known.values():
            give(recent, store, found)
        settle(recent, store)
        expected = recomputed(known)
        assert store.lines() == expected
        assert len(expected) == len(known) - 1
        newest = store.forecasts[max(known)]
        assert (newest["completed"], newest["volatility"] is None, newest["skill"] is None) == (False, False, False)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gap=st.integers(0, 300),
    pauses=st.sets(st.integers(1, 219), max_size=6),
    restarts=st.sets(st.integers(1, 219), max_size=3),
    late=st.lists(st.integers(0, 218), max_size=3),
)
@example(seed=0, gap=209, pauses={1, 190}, restarts={190}, late=[0])  # the first after the restart is late as well
def test_any_order_restart_or_late_window_ends_in_the_same_rows(
    seed: int, gap: int, pauses: set[int], restarts: set[int], late: list[int]
) -> None:
    random = Random(seed)
    known = windows(seed, [place + (gap if place > 150 else 0) for place in range(220)])
    ordered = list(known)
    records = []
    for place, at in enumerate(ordered):
        bar, _ = known[at]
        if bar["trade_count"] > 1 and random.random() < 0.3:
            records.append(window(random, at, 0.001, bar["trade_count"] - 1))  # before its last trade
        if place not in late:
            records.append(known[at])
    records += [known[ordered[place]] for place in late]
    recent, store = RecentForecasts({"1m": LENGTH_MS}, START_MS - FUTURE_TOLERANCE_MS), Store()
    read = committed = 0
    while read < len(records):
        give(recent, store, records[read])
        read += 1
        if read in pauses or read == len(records):
            settle(recent, store)
            committed = read
        if read in restarts:
            # Whatever was not committed is read again, by a program that knows nothing.
            restarts = restarts - {read}
            newest = records[read - 1][0]["open_time"]
            recent = RecentForecasts({"1m": LENGTH_MS}, random.choice([newest, START_MS + 10**10]))
            read = committed
    assert store.lines() == recomputed(known)


def test_a_late_window_corrects_the_forecasts_of_two_runs_after_it() -> None:
    known = windows(5, list(range(3 * FORECAST_RUN_WINDOWS)))
    recent, store = RecentForecasts({"1m": LENGTH_MS}, START_MS - FUTURE_TOLERANCE_MS), Store()
    ordered = list(known)
    for at in ordered:
        if at != ordered[70]:
            give(recent, store, known[at])
    settle(recent, store)
    before = dict(store.forecasts)
    give(recent, store, known[ordered[70]])
    settle(recent, store)
    assert store.lines() == recomputed(known)
    corrected = [at for at in ordered[:-1] if at not in before or before[at] != store.forecasts[at]]
    assert corrected[0] == ordered[70]
    assert corrected[-1] >= ordered[2 * FORECAST_RUN_WINDOWS]
    assert all(store.forecasts[at]["version"] > before[at]["version"] for at in corrected if at in before)


def test_an_older_version_of_a_row_does_not_replace_the_newest() -> None:
    known = windows(6, list(range(150)))
    recent, store = RecentForecasts({"1m": LENGTH_MS}, START_MS - FUTURE_TOLERANCE_MS), Store()
    frozen, kept = RecentForecasts({"1m": LENGTH_MS}, START_MS - FUTURE_TOLERANCE_MS), Store()
    for place, found in enumerate(known.values()):
        give(recent, store, found)
        if place < 100 and place != 60:
            give(frozen, kept, found)
    settle(recent, store)
    settle(frozen, kept)
    for at, row in kept.forecasts.items():
        assert row == store.forecasts[at] or row["version"] < store.forecasts[at]["version"]
