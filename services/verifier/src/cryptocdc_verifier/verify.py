"""Verification on demand: compares a whole window of every table."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest

import psycopg2
from cassandra import DriverException, OperationTimedOut, ReadTimeout, Unavailable
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.postgres.proofs import dropped_days
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_core.storage.windows import Partition, Window, segment_of, subtract
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.comparing.pace import Pace
from cryptocdc_verifier.comparing.postgres import PostgresSide, Snapshot
from cryptocdc_verifier.comparing.tables import KEPT, Comparison, TableResult, count_all, settle
from cryptocdc_verifier.computed.tables import closed, comparison_of
from cryptocdc_verifier.delivery.stalls import STALLED_S
from cryptocdc_verifier.delivery.waiting import ComputedDelivery, delivery_of
from cryptocdc_verifier.differences.dead_letters import read_pending
from cryptocdc_verifier.differences.explain import explain
from cryptocdc_verifier.repair.decision import COMPUTED, Allowance, Leave
from cryptocdc_verifier.repair.repairs import Repairer
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.target import Target, VerifyError, window_of

MOST_REPAIRED = 100_000
"""Rows repaired by one verification; a new snapshot suits more."""
REPAIRED_ROWS_PER_S = 2_000

Say = Callable[[str, int], None]
"""Called with the current step and the number of rows compared so far."""


def verify(
    target: Target,
    start: int | None = None,
    end: int | None = None,
    *,
    explained: int = 0,
    repairing: bool = False,
    say: Say = lambda _what, _rows: None,
    stalled_s: float = STALLED_S,
) -> Report:
    """Compare the rows with a time in [start, end), in milliseconds; None means no bound.

    `explained` is the number of differing keys to explain. With `repairing`, differences that may be repaired are, and
    only the others are counted. Raises VerifyError if the platform does not answer or makes no progress.
    """
    with sides(target) as (postgres, cassandra):
        delivery = delivery_of(target, postgres, stalled_s)
        with postgres.snapshot() as rows:
            window = window_of(target, rows.taken_ms, start, end)
            report = Report(target.feed.name, target.source, window, rows.taken_ms)
            say("waiting for slots and consumers to pass the snapshot", 0)
            delivery.wait(rows.lsn)
            first = window.end
            compared = 0
            comparisons: list[Comparison] = []
            repairer = _repairer(target, postgres, cassandra, delivery.wait, say) if repairing else None
            for stream in target.streams:
                what = f"comparing {stream.table}"

                def counted(count: int, what: str = what) -> None:
                    nonlocal compared
                    compared += count
                    say(what, compared)

                dropped = dropped_days(rows.connection, rows.names, stream)
                comparison = Comparison(
                    stream, cassandra, postgres.snapshot, delivery.wait, counted, dropped,
                    count_all if repairer is None else repairer.resolve,
                )  # fmt: skip
                comparison.result.most_kept = max(KEPT, explained)
                for segment, partitions in _segments(stream, rows, cassandra, window, dropped):
                    first = min(first, segment.start)
                    comparison.compare(rows, segment, partitions)
                comparisons.append(comparison)
                report.tables[stream.table] = comparison.result
            say("reading differing rows again", compared)
            settle(comparisons, postgres.snapshot, delivery.wait)
            if target.computed:
                report.tables |= _computed(target, cassandra, closed(window, rows.taken_ms), say, compared, stalled_s)
            if repairer is not None:
                report.repairs = repairer.repairs
                for stream in target.computed:
                    for kind, count in report.tables[stream.table].counts.items():
                        report.repairs.leave(stream.table, kind, Leave(COMPUTED), count)
            # Where neither side has rows, nothing was compared.
            report.window = Window(max(window.start, min(first, rows.taken_ms)), window.end)
        pending = read_pending(target.kafka, target.names)
        report.quarantined = pending.count
        report.quarantined_symbols = dict(sorted(pending.symbols.items()))
        if explained:
            # Some of each table, so that one alone does not fill the list.
            by_table = zip_longest(*(table.kept for table in report.tables.values()))
            kept = [difference for group in by_table for difference in group if difference is not None]
            report.keys = explain(target, cassandra, pending, kept[:explained])
        return report


def _repairer(
    target: Target, postgres: PostgresSide, cassandra: CassandraSide, wait: Callable[[int], None], say: Say
) -> Repairer:
    pace = Pace(REPAIRED_ROWS_PER_S, threading.Event())
    sent = 0

    def paced(rows: int) -> None:
        nonlocal sent
        sent += rows
        say("sending rows again", sent)
        pace(rows)

    return Repairer(target, postgres, cassandra, wait, Allowance(MOST_REPAIRED, None, time.monotonic), paced)


def _computed(
    target: Target, cassandra: CassandraSide, window: Window, say: Say, compared: int, stalled_s: float
) -> dict[str, TableResult]:
    """Return the results of the computed tables, by table."""
    wait = ComputedDelivery(target, stalled_s).wait
    say("waiting for analyzers and consumers", compared)
    wait()
    found = {}
    for stream in target.computed:
        comparison = comparison_of(stream, target, cassandra, wait)
        say(f"computing {comparison.stream.table} again", compared)
        comparison.compare(window)
        comparison.settle()
        found[comparison.stream.table] = comparison.result
    return found


@contextmanager
def sides(target: Target) -> Iterator[tuple[PostgresSide, CassandraSide]]:
    """Connect to both databases; exceptions of their clients inside the block become VerifyError."""
    postgres = PostgresSide(target.postgres, target.names, target.streams)
    try:
        cassandra = CassandraSide(target.cassandra, target.names, (*target.streams, *target.computed))
        try:
            yield postgres, cassandra
        except psycopg2.Error as error:
            raise VerifyError(f"PostgreSQL: {' '.join(str(error).split())}") from error
        except (NoHostAvailable, OperationTimedOut, ReadTimeout, Unavailable, DriverException) as error:
            raise VerifyError(f"Cassandra: {error}") from error
        finally:
            cassandra.close()
    finally:
        postgres.close()


def _segments(
    stream: Stream, rows: Snapshot, cassandra: CassandraSide, window: Window, dropped: set[int]
) -> Iterator[tuple[Window, list[Partition]]]:
    """Yield the days or months of `window` in which either side may have rows, with Cassandra's partitions in each.

    `dropped` days without a partition are excluded: their rows are only in Cassandra, and were proven.
    """
    partitions: defaultdict[Window, list[Partition]] = defaultdict(list)
    days = rows.days(stream)
    for day in days:
        partitions[segment_of(stream.bucket, day)] = []
    for partition in cassandra.partitions(stream):
        partitions[segment_of(stream.bucket, partition.bucket)].append(partition)
    gone = [Window(day, day + DAY_MS) for day in dropped.difference(days)]
    for segment in sorted(partitions):
        inside = segment.meet(window)
        for part in subtract([inside], [day for day in gone if day.meet(segment)]) if inside else []:
            yield part, partitions[segment]
