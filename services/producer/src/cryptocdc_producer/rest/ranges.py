"""Fetches time ranges over REST into PostgreSQL. A range counts as fetched once all of its rows are committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from cryptocdc_adapters.exchange.rest import Rest
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import KLINES
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import ExchangeSettings, PostgresSettings
from cryptocdc_core.rows.typed import KlinesRow, Row
from cryptocdc_exchanges.port import Series, Venue
from cryptocdc_producer.rest.history import Fetched, History, Progress
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Store
from cryptocdc_producer.storage.writer import Writer

_PATIENCE_S = 300.0
"""How long one request waits for budget and retries: nothing else waits for it."""


class UnwrittenError(RuntimeError):
    """The writer has failed: not all that was fetched is stored."""

    def __init__(self) -> None:
        super().__init__("not all rows could be written, for the reason above; run it again")


class Range(NamedTuple):
    """Rows of `series` with `from_ms` <= time < `to_ms`."""

    series: Series
    from_ms: int
    to_ms: int


def label(table: str, kind: str) -> str:
    """Return what is fetched, as progress and results name it: "trades", "klines 1m"."""
    return f"klines {kind}" if table == KLINES.table else "trades"


class Ranges:
    """Fetches ranges of one feed, one after the other and within one budget. `problems`: refused elements and rows."""

    def __init__(self, feed: CryptoFeed, venue: Venue, names: Names, database: PostgresSettings) -> None:
        self._feed, self._venue, self._names = feed, venue, names
        self._connect = partial(postgres.connect, database, "backfill")
        self._metrics = ProducerMetrics("")
        self.problems: list[str] = []
        rest = Rest(venue, ExchangeSettings.from_env().api_key, patience_s=_PATIENCE_S)
        self._requests = Requests(
            rest, self._metrics, lambda _, detail, *more: self.problems.append(f"{detail}: {more[0]!r:.200}")
        )

    def close(self) -> None:
        self._requests.close()

    async def fetch(self, symbol: str, wanted: Sequence[Range], progress: Progress) -> dict[str, Fetched]:
        """Fetch and write ranges of one symbol. Returns by label what was written and how much was refused. Raises
        ExchangeError, Rejected, psycopg2.Error, UnwrittenError."""
        store = Store(self._names, self._feed, self._venue, self._connect)
        stored = (await asyncio.to_thread(store.load, [symbol]))[symbol]
        intake = Intake(self._metrics)
        unwritten: Counter[str] = Counter()

        def reject(row: Row, problem: str) -> None:
            self.problems.append(f"{row}: {problem}")
            unwritten[label(row.stream.table, row.interval if isinstance(row, KlinesRow) else "")] += 1

        def fetched_through(what: str, rows: int, through_ms: int) -> None:
            if writer.failed:  # nothing makes room in the queue any more
                raise UnwrittenError
            progress(what, rows, through_ms)

        writer = Writer(self._names, streams_of(self._feed), intake, self._connect, self._metrics, reject)
        history = History(self._feed, self._venue, symbol, stored, self._requests, intake, fetched_through)
        found: dict[str, Fetched] = {}
        writer.start()
        try:
            for series, from_ms, to_ms in wanted:
                what = label(series.table, series.kind)
                if series.table == KLINES.table:
                    found[what] = await history.klines(series.kind, from_ms, to_ms)
                else:
                    found[what] = await history.trades(from_ms, to_ms)
                fetched_through(what, found[what].rows, to_ms)
        finally:
            intake.close()
            await asyncio.to_thread(writer.finish, None)
        if writer.failed:
            raise UnwrittenError
        return {what: Fetched(it.rows - unwritten[what], it.refused + unwritten[what]) for what, it in found.items()}
