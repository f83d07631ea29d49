"""One producer with all its parts: from the symbols that Kafka assigns to rows in PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial

import msgspec

from cryptocdc_adapters.exchange.rest import Rest
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names, identity
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.program.settings import ArchiveSettings, KafkaSettings, PostgresSettings, ProgramSettings
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.port import Channel, Venue
from cryptocdc_exchanges.registry import always_listed, at_archive, venue_of
from cryptocdc_producer.archive.healing import Healing
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.connections.fleet import Fleet
from cryptocdc_producer.rest.backfill import Backfill
from cryptocdc_producer.rest.polling import Polling
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.rest.snapshots import Snapshots
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.rejects import Rejects
from cryptocdc_producer.storage.store import Store
from cryptocdc_producer.storage.writer import Writer
from cryptocdc_producer.streams.handler import Outlets
from cryptocdc_producer.streams.handlers import Handlers
from cryptocdc_producer.symbols.assignment import Assignment
from cryptocdc_producer.symbols.roster import Roster
from cryptocdc_producer.symbols.watch import MarketWatch, watch_streams

log = logging.getLogger(__name__)

_TICK_S = 0.2
_FLUSH_S = 25.0
"""Time to write queued rows when stopping; supervisors wait 30 s."""


class Producer:
    """`run` returns after SIGTERM or SIGINT once everything read is written, or raises RuntimeError."""

    def __init__(self, settings: ProgramSettings, feed: CryptoFeed, metrics: ProducerMetrics, health: Health) -> None:
        names = Names(identity(feed.name, settings.source))
        venue = venue_of(feed, settings.rest_url, settings.websocket_url)
        kafka, database = KafkaSettings.from_env(), PostgresSettings.from_env()
        connect = partial(postgres.connect, database, "producer")
        self._metrics, self._health = metrics, health
        self._at_risk = venue.not_refillable(feed.spec.streams)
        self._rejects = Rejects(kafka, names, feed.name, metrics)
        self._intake = Intake(metrics)
        self._writer = Writer(names, streams_of(feed), self._intake, connect, metrics, self._refuse_row)
        self._rest = Rest(
            venue,
            settings.api_key,
            on_throttled=lambda status: metrics.throttled.labels(str(status)).inc(),
        )
        metrics.weight_used.set_function(lambda: self._rest.budget.used)
        metrics.weight_limit.set_function(lambda: self._rest.budget.limit)
        self._requests = Requests(self._rest, metrics, self._rejects.refuse)
        self._snapshots = Snapshots(venue.order_book, self._requests, metrics)
        outlets = Outlets(
            self._intake, metrics, lambda gap: self._backfill.add([gap]), self._snapshots.want, self._rejects.refuse
        )  # fmt: skip
        self._handlers = Handlers(feed, venue, outlets, has_past=settings.source != "capture")
        store = Store(names, feed, venue, connect)
        self._healing = _healing(feed, venue, settings, store, self._intake)
        self._backfill = Backfill(self._handlers.by_table, self._requests, self._intake, metrics, self._healing)
        self._capture = Capture(feed, venue, self._handlers, metrics, self._rejects.refuse)
        sporadic = frozenset(handler.table for handler in self._handlers if handler.sporadic)
        self._fleet = Fleet(venue, self._capture.receive, self._intake.room, metrics, self._outage, sporadic)
        self._roster = Roster(feed, venue, store, self._capture, self._fleet, self._backfill)
        listed = always_listed(feed, settings.source)
        self._watch = MarketWatch(
            self._requests, self._capture, self._handlers.trades, self._roster, metrics, listed
        )  # fmt: skip
        metrics.symbols.set_function(lambda: len(self._capture.symbols - self._watch.absent))
        self._polling = Polling(self._handlers, self._requests, self._capture, metrics, self._watch)
        loop = asyncio.get_running_loop()
        self._assignment = Assignment(
            kafka, names, lambda *change: loop.call_soon_threadsafe(partial(self._roster.change, *change))
        )
        membership = self._assignment.membership
        health.ready_when(membership.obstacle)
        metrics.group_member.set_function(lambda: membership.member)

    async def run(self) -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        self._writer.start()
        self._assignment.start()
        work: list[Awaitable[None]] = [
            self._tick(),
            self._roster.run(),
            self._backfill.run(),
            self._snapshots.run(self._handlers.order_books, self._resubscribe_book),
            self._watch.run(),
            watch_streams(self._capture, self._roster),
            *self._polling.tasks(),
            *([] if self._healing is None else [self._healing.run()]),
        ]
        tasks = [asyncio.ensure_future(task) for task in work]
        ended = asyncio.ensure_future(ending.wait())
        try:
            # None of them ends: one that returns has failed, and so has the program.
            done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(tasks)
        for task in done - {ended}:
            task.result()

    async def _tick(self) -> None:
        rounds = -1
        while True:
            self._capture.tick()
            if not self._writer.alive:
                raise RuntimeError("the writer has ended")
            if not self._assignment.alive:
                raise RuntimeError("the assignment of symbols has ended")
            if self._writer.rounds != rounds:
                # The heartbeat is here and not in the writer, since both event loop and writer must make progress.
                rounds = self._writer.rounds
                # Without symbols it is ready only while it can get some; with symbols it works without Kafka.
                if self._roster.wanted or self._assignment.membership.member:
                    self._health.beat()
            await asyncio.sleep(_TICK_S)

    async def _end(self, tasks: Sequence[asyncio.Future[None]]) -> None:
        """Leave the group first, so that others take over while this one still reads; then write all that was read."""
        began = time.monotonic()
        await asyncio.to_thread(self._assignment.stop, 5.0)
        await self._fleet.close()
        for task in tasks:
            task.cancel()
        self._requests.close()
        if self._healing is not None:
            self._healing.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        self._capture.finish()
        self._intake.close()
        written = await asyncio.to_thread(self._writer.finish, _FLUSH_S - (time.monotonic() - began))
        await asyncio.to_thread(self._rejects.close, 2.0)
        if not written:
            raise RuntimeError(
                f"{len(self._intake)} rows could not be written in time;"
                " the next start finds missing trades and klines and fills them"
            )
        log.info("ended")

    def _resubscribe_book(self, symbol: str) -> None:
        self._roster.renew(symbol, ORDER_BOOK.table)

    def _refuse_row(self, row: Row, problem: str) -> None:
        self._rejects.refuse("postgres", problem, msgspec.json.encode(row), row.symbol)

    def _outage(self, channels: Iterable[Channel], seconds: float) -> None:
        for table in {table for channel in channels for table in channel.tables} & self._at_risk:
            self._metrics.outage_seconds.labels(table).inc(seconds)


def _healing(feed: CryptoFeed, venue: Venue, settings: ProgramSettings, store: Store, intake: Intake) -> Healing | None:
    """Return what fills gaps from the venue's archive; None if it has none, or trades can be requested by id."""
    trades = feed.spec.streams.recent_trades
    if not venue.fills_from_archive(feed.spec.streams) or settings.source == "capture":
        return None
    assert venue.archive is not None
    assert trades is not None
    base = at_archive(feed, settings.source, settings.rest_url).hosts.archive
    return Healing(venue.archive, base, trades.kind, store, intake, ArchiveSettings.from_env().retry_s)
