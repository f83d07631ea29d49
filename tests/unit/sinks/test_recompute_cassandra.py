"""How Spark's tasks share Cassandra's partitions, and that each closes its connection."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from tests.unit.analyzer.trades import START_MS, trade

from cryptocdc_analyzer.windows.series import Span
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.feed.analytics import Analytics
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_spark.recompute import cassandra_rows
from cryptocdc_spark.recompute.cassandra_rows import CassandraRows
from cryptocdc_spark.recompute.extents import Range, extents

HOUR_MS = 3_600_000
FIRST_MS = START_MS - START_MS % HOUR_MS


class Stored:
    """A keyspace with `hours` partitions of trades of one symbol, each with one trade."""

    def __init__(self, hours: int) -> None:
        self.hours = hours
        self.opened = self.closed = 0
        self.fails = False

    def __call__(self, *_: object) -> Stored:
        self.opened += 1
        return self

    def partitions(self, _: Stream) -> Iterator[tuple[str, int]]:
        for hour in range(self.hours):
            yield "BTCUSDT", FIRST_MS + hour * HOUR_MS

    def trades(self, spans: Iterable[Span]) -> Iterator[list[Any]]:
        for span in spans:
            if self.fails:
                raise ConnectionError
            yield [trade(span.start_ms - START_MS)]

    def close(self) -> None:
        self.closed += 1


class Context:
    """Spark, as far as it is used: it runs the tasks one after the other."""

    defaultParallelism = 4

    def __init__(self) -> None:
        self.sparkContext = self
        self.tasks: list[Sequence[Any]] = []

    def parallelize(self, items: Sequence[Any], count: int) -> Context:
        size = -(-len(items) // count)
        self.tasks = [items[at * size : (at + 1) * size] for at in range(count)]
        return self

    def mapPartitions(self, read: Callable[[Iterable[Any]], Iterator[Any]]) -> list[Any]:
        return [one for task in self.tasks for one in read(task)]


def rows_of(stored: Stored, monkeypatch: pytest.MonkeyPatch, hours: int, symbols: Sequence[str] = ()) -> CassandraRows:
    monkeypatch.setattr(cassandra_rows, "StoredRows", stored)
    wanted = extents(Analytics.model_validate({"bars": ["1h"]}), Range(FIRST_MS, FIRST_MS + hours * HOUR_MS))
    return CassandraRows(CassandraSettings(password="secret"), "my_feed", wanted, symbols)


@pytest.mark.parametrize(("hours", "tasks"), [(2, 2), (50, 4), (240, 10)])
def test_tasks_use_all_cores_and_read_at_most_a_day_of_partitions_each(
    hours: int, tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, spark = Stored(1_000), Context()
    rows = rows_of(stored, monkeypatch, hours)
    assert (stored.opened, stored.closed) == (1, 1)
    rows.open(spark)
    assert [one.at_ms for one in rows.trades()] == [FIRST_MS + hour * HOUR_MS for hour in range(hours)]
    assert len(spark.tasks) == tasks
    assert (stored.opened, stored.closed) == (1 + tasks, 1 + tasks)


def test_a_stream_is_the_same_in_a_task_that_got_it_by_pickle() -> None:
    assert pickle.loads(pickle.dumps(RECENT_TRADES)) == RECENT_TRADES


def test_a_task_that_fails_closes_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    stored, spark = Stored(1), Context()
    rows = rows_of(stored, monkeypatch, 1)
    rows.open(spark)
    stored.fails = True
    with pytest.raises(ConnectionError):
        rows.trades()
    assert stored.closed == stored.opened == 2


def test_an_unknown_symbol_is_refused_before_spark_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored(1)
    with pytest.raises(BadInput, match="--symbol: DOGEUSDT is not accepted; accepted: BTCUSDT"):
        rows_of(stored, monkeypatch, 1, ["DOGEUSDT"])
    assert stored.closed == stored.opened == 1
