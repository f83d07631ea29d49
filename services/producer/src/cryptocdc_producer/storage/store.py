"""What PostgreSQL already holds of a symbol when its capture begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cryptocdc_adapters.postgres.connections import answering
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed.model import CryptoFeed, retention_s
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.storage import ddl
from cryptocdc_core.time import intervals
from cryptocdc_exchanges.port import Venue
from cryptocdc_producer.streams.continuity import HISTORY, Gap


@dataclass(frozen=True)
class Stored:
    """Everything up to `last` is stored or in `gaps`: a gap is committed with the row after it, that of a
    symbol's past before any row.
    """

    last_trade: int | None = None
    last_trade_ms: int = 0
    """When it was traded."""
    last_closes: dict[str, int] = field(default_factory=dict)
    """By interval, the open time in ms of the last closed kline; if only open ones are stored, of the one before them:
    the end of each of those is due.
    """
    gaps: tuple[Gap, ...] = ()
    """Gaps that are still open."""
    newest: dict[str, int] = field(default_factory=dict)
    """By table that can't be filled later, the event time in ms of the newest row."""


@dataclass(frozen=True)
class Kept:
    """What PostgreSQL has of trades and days. `traded_at`: by trade id, in ms. `dropped`: the starts of days, in ms;
    days that ended before `since_ms` are past retention and will be dropped."""

    traded_at: Mapping[int, int]
    dropped: frozenset[int]
    since_ms: int | None

    def is_gone(self, day: int) -> bool:
        return day in self.dropped or (self.since_ms is not None and day + ddl.DAY_MS <= self.since_ms)


class Store:
    """Reads of one feed's schema. Each call opens a connection of its own and raises psycopg2.Error."""

    def __init__(self, names: Names, feed: CryptoFeed, venue: Venue, connect: Callable[[], Connection]) -> None:
        self._schema = quoted(names.schema)
        self._connect = connect
        streams = feed.spec.streams
        self._retention_s = retention_s(feed.spec.retention.postgres)
        self._trades = streams.recent_trades is not None
        self._at_risk = [stream for stream in streams_of(feed) if stream.table in venue.not_refillable(streams)]
        self._intervals: Sequence[str] = streams.klines.intervals if streams.klines is not None else ()

    def load(self, symbols: Iterable[str]) -> dict[str, Stored]:
        connection = self._connect()
        # Autocommit: a transaction would hold a lock on each table read, for which creating a partition must wait.
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                found = {}
                for symbol in symbols:
                    with answering(connection):  # each of them: hundreds may take longer than one answer may
                        found[symbol] = self._load(cursor, symbol)
                return found
        finally:
            connection.close()

    def kept(self, symbol: str, ids: Sequence[int]) -> Kept:
        """Return when the trades with these ids were, of those that PostgreSQL has, and which days it keeps."""
        connection = self._connect()
        connection.autocommit = True
        try:
            with answering(connection), connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT trade_id, extract(epoch FROM trade_time) * 1000 FROM {self._schema}.{RECENT_TRADES.table}"  # noqa: S608
                    " WHERE symbol = %s AND trade_id = ANY(%s)",
                    (symbol, list(ids)),
                )
                traded_at = {int(trade_id): int(at) for trade_id, at in cursor.fetchall()} if ids else {}
                cursor.execute(
                    f"SELECT extract(epoch FROM day) * 1000 FROM {self._schema}.{ddl.DROPPED} WHERE table_name = %s",  # noqa: S608
                    (RECENT_TRADES.table,),
                )
                dropped = frozenset(int(day) for (day,) in cursor.fetchall())
        finally:
            connection.close()
        since = None if self._retention_s is None else int(time.time() - self._retention_s) * 1000
        return Kept(traded_at, dropped, since)

    def _load(self, cursor: Cursor, symbol: str) -> Stored:
        def first(query: str, *values: object) -> int | None:
            cursor.execute(query, values)
            row = cursor.fetchone()
            return None if row is None else int(row[0])

        trade: tuple[Any, ...] | None = None
        if self._trades:
            cursor.execute(
                f"SELECT trade_id, extract(epoch FROM trade_time) * 1000 FROM {self._schema}.{RECENT_TRADES.table}"  # noqa: S608
                " WHERE symbol = %s ORDER BY trade_time DESC, trade_id DESC LIMIT 1",
                (symbol,),
            )
            trade = cursor.fetchone()
        last_trade, last_trade_ms = (None, 0) if trade is None else (trade[0], int(trade[1]))
        closes = {}
        for interval in self._intervals:
            of_interval = (
                f"SELECT extract(epoch FROM open_time) * 1000 FROM {self._schema}.{KLINES.table}"  # noqa: S608
                " WHERE symbol = %s AND interval = %s"
            )
            closed = first(f"{of_interval} AND closed ORDER BY open_time DESC LIMIT 1", symbol, interval)
            if closed is not None:
                closes[interval] = closed
            elif (oldest := first(f"{of_interval} ORDER BY open_time LIMIT 1", symbol, interval)) is not None:
                closes[interval] = intervals.preceding(interval, oldest)
        newest = {}
        for stream in self._at_risk:
            event = first(
                f"SELECT extract(epoch FROM {stream.event}) * 1000 FROM {self._schema}.{stream.table}"  # noqa: S608
                f" WHERE symbol = %s ORDER BY {stream.time} DESC LIMIT 1",
                symbol,
            )
            if event is not None:
                newest[stream.table] = event
        cursor.execute(
            f"SELECT table_name, symbol, interval, first, last, reason FROM {self._schema}.{ddl.GAPS}"  # noqa: S608
            " WHERE symbol = %s AND state = 'open' ORDER BY id",
            (symbol,),
        )
        gaps = tuple(
            # What a gap waits for is found out again.
            Gap(table, of, interval, first_id, last_id, HISTORY if reason == HISTORY else "")
            for table, of, interval, first_id, last_id, reason in cursor.fetchall()
        )
        for gap in gaps:
            if gap.table == KLINES.table and gap.interval in self._intervals:
                # A gap that has no rows after it yet, such as the past with which a symbol starts.
                closes[gap.interval] = max(closes.get(gap.interval, gap.last), gap.last)
        return Stored(last_trade, last_trade_ms, closes, gaps, newest)
