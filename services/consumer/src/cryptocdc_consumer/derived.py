"""Tables derived from a stream's rows for readers: the newest row of every symbol, the order-book heatmap.

They follow the same rule as the streams: every write has the row's version as its timestamp, so order and repetition do
not matter. Deleting a newest row also removes it here, and the symbol has no newest row until its next one arrives:
deleted rows are never shown, and older rows stay only in the stream's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from cryptocdc_consumer.encode import DerivedEncoder, Key, Prepare
from cryptocdc_core.catalogue import HEATMAP, NEWEST, SHARD, Bucket, Derived
from cryptocdc_core.rows.changes import UNAVAILABLE
from cryptocdc_core.rows.heatmap import SLOT_MS, bins
from cryptocdc_core.rows.versions import LAST_OF_A_MILLISECOND, deletion_version, version


class DerivedRow(NamedTuple):
    """A statement for a derived table, and the record it comes from."""

    table: str
    key: Key
    statement: bytes
    origin: Any
    older: bool = False
    """Whether it only removes older versions of the row that follows."""


class DerivedTable(Protocol):
    """Collects one chunk's changes of the source table."""

    encoder: DerivedEncoder

    def take(self, change: Any, ttl: int, origin: Any) -> None: ...

    def take_delete(self, change: Any, origin: Any) -> None: ...

    def flush(self) -> Iterator[DerivedRow]:
        """Yield the rows that the chunk writes to the table."""
        ...


class Newest:
    """The newest row of every symbol, all in one partition. Only the newest row of a chunk is written."""

    def __init__(self, derived: Derived, keyspace: str, prepare: Prepare) -> None:
        self.encoder = DerivedEncoder(derived, keyspace, prepare, ("shard", "symbol"))
        self._table = derived.table
        self._row = attrgetter(*(column.name for column in derived.columns[1:]))
        self._newest: dict[str, tuple[Any, int, Any]] = {}
        self._deletes: list[DerivedRow] = []

    def take(self, change: Any, ttl: int, origin: Any) -> None:
        kept = self._newest.get(change.symbol)
        if kept is None or change.version > kept[0].version:
            self._newest[change.symbol] = (change, ttl, origin)

    def take_delete(self, change: Any, origin: Any) -> None:
        # The key contains the event's time, from which the version derives, so the row's greatest possible version is
        # known without the row, and a newer row of the symbol stays.
        most = version(change.event_time) + LAST_OF_A_MILLISECOND
        statement = self.encoder.delete((SHARD, change.symbol), most)
        self._deletes.append(DerivedRow(self._table, (SHARD,), statement, origin))

    def flush(self) -> Iterator[DerivedRow]:
        newest, deletes = self._newest, self._deletes
        self._newest, self._deletes = {}, []
        yield from deletes
        for change, ttl, origin in newest.values():
            row = (SHARD, *self._row(change))
            if None in row:  # a value of the row before must not show where this one has none
                older = self.encoder.delete((SHARD, change.symbol), change.version - 1)
                yield DerivedRow(self._table, (SHARD,), older, origin, older=True)
            statement = self.encoder.insert(row, change.version, ttl)
            yield DerivedRow(self._table, (SHARD,), statement, origin)


class Heatmap:
    """The quantities by price of an order book every ten seconds."""

    def __init__(self, derived: Derived, keyspace: str, prepare: Prepare) -> None:
        self.encoder = DerivedEncoder(derived, keyspace, prepare, ("symbol", "hour", "bucket_time"))
        self._table = derived.table
        self._rows: list[DerivedRow] = []

    def take(self, change: Any, ttl: int, origin: Any) -> None:
        sides = (change.bid_prices, change.bid_quantities, change.ask_prices, change.ask_quantities)
        if change.bucket_time % SLOT_MS or any(UNAVAILABLE in side for side in sides):
            return
        hour = Bucket.HOUR.floor(change.bucket_time)
        found = bins(*sides)
        for b in found:
            row = (
                change.symbol, hour, change.bucket_time, b.bin,
                *(format(number, "f") for number in (b.price_low, b.price_high, b.bid_quantity, b.ask_quantity)),
            )  # fmt: skip
            self._add(change.symbol, hour, self.encoder.insert(row, change.version, ttl), origin)
        if not found:  # an empty book: remove the bins of an earlier version
            where = (change.symbol, hour, change.bucket_time)
            self._add(change.symbol, hour, self.encoder.delete(where, change.version), origin)

    def take_delete(self, change: Any, origin: Any) -> None:
        if change.bucket_time % SLOT_MS:
            return
        hour = Bucket.HOUR.floor(change.bucket_time)
        where = (change.symbol, hour, change.bucket_time)
        statement = self.encoder.delete(where, deletion_version(change.committed_us))
        self._add(change.symbol, hour, statement, origin)

    def flush(self) -> Iterator[DerivedRow]:
        rows, self._rows = self._rows, []
        return iter(rows)

    def _add(self, symbol: str, hour: int, statement: bytes, origin: Any) -> None:
        self._rows.append(DerivedRow(self._table, (symbol, hour), statement, origin))


MAKERS: Mapping[str, Callable[[Derived, str, Prepare], DerivedTable]] = {
    **{derived.table: Newest for derived in NEWEST.values()},
    HEATMAP.table: Heatmap,
}
