"""The places that a row passes through, each queried directly: PostgreSQL, Kafka, Cassandra."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra import InvalidRequest

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.cassandra.audited import one_key, one_statement, written
from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.clients import TIMEOUT_S
from cryptocdc_adapters.kafka.records import Records
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication import slots
from cryptocdc_core.catalogue import Stream, Type
from cryptocdc_core.names import quoted
from cryptocdc_core.rows.changes import Change
from cryptocdc_core.rows.hops import Sent, Stored, Values, Written, exact
from cryptocdc_core.storage.ddl import DAY_MS, DROPPED
from cryptocdc_core.storage.shards import Shard
from cryptocdc_core.time import times
from cryptocdc_local.platform import PlatformError
from cryptocdc_verifier.delivery.slots_passed import absent
from cryptocdc_verifier.delivery.waiting import describe_connector
from cryptocdc_verifier.differences.dead_letters import read_pending
from cryptocdc_verifier.target import Target

_EPOCH = datetime(1970, 1, 1)
CLOCKS_MS = 5_000
"""Tolerated difference between the clocks of the producer and of Kafka Connect."""


@contextmanager
def places(target: Target, stream: Stream) -> Iterator[Places]:
    """Connect to all places. Raises the clients' exceptions, and PlatformError if Cassandra has no such table."""
    records = Records(target.kafka, target.names)
    try:
        connection = postgres.connect(target.postgres, "trace", autocommit=True)
        try:
            cluster, session = cassandra.connect(target.cassandra)
            try:
                prepared = session.prepare(one_statement(target.names.keyspace, stream))
                yield Places(target, stream, connection, session, prepared, records)
            except InvalidRequest as error:
                raise PlatformError(
                    f"Cassandra: {error}", f"`cryptocdc apply -f FEED` creates the tables of {target.names.fid}"
                ) from None
            finally:
                cluster.shutdown()
        finally:
            connection.close()
    finally:
        records.close()


class Places:
    """Reads the rows of one stream from each place."""

    def __init__(
        self, target: Target, stream: Stream, connection: Any, session: Any, prepared: Any, records: Records
    ) -> None:
        self.target, self.stream = target, stream
        self._connection, self._session, self._prepared, self._records = connection, session, prepared, records
        self._table = f"{quoted(target.names.schema)}.{quoted(stream.table)}"

    def stored(self, key: Values) -> Stored | None:
        """Return PostgreSQL's row with that key."""
        return self._stored(self.stream.key, key)

    def newest(self, key: Values) -> Stored | None:
        """Return PostgreSQL's newest row with the given columns of the key."""
        return self._stored([name for name in self.stream.key if name in key], key)

    def _stored(self, names: Any, key: Values) -> Stored | None:
        stream = self.stream
        columns = ", ".join(map(quoted, stream.column_names))
        where = " AND ".join(f"{quoted(name)} = %s" for name in names)
        order = ", ".join(f"{quoted(name)} DESC" for name in stream.clustering)
        found = self._query(
            f"SELECT {columns}, xmin::text::bigint FROM {self._table} WHERE {where} ORDER BY {order} LIMIT 1",  # noqa: S608
            [_parameter(stream.types[name], key[name]) for name in names],
        )
        if not found:
            return None
        *values, xmin = found[0]
        named = dict(zip(stream.column_names, values, strict=True))
        return Stored(f"{self.target.names.schema}.{stream.table}", exact(stream, named), xmin)

    def dropped(self, at_ms: int) -> bool:
        """Return whether retention has dropped the day of that time, which it does only once the day is proven."""
        day = _EPOCH + timedelta(milliseconds=at_ms - at_ms % DAY_MS)
        schema = quoted(self.target.names.schema)
        statement = f"SELECT 1 FROM {schema}.{DROPPED} WHERE table_name = %s AND day = %s"  # noqa: S608
        return bool(self._query(statement, [self.stream.table, day]))

    def _query(self, statement: str, values: list[object]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def written(self, key: Values) -> Written | None:
        """Return Cassandra's row with that key."""
        stream = self.stream
        bucket_ms = stream.bucket_start(key)
        where = {**key, stream.bucket_column: bucket_ms}
        row = self._session.execute(self._prepared, [where[name] for name in one_key(stream)]).one()
        table = f"{self.target.names.keyspace}.{stream.table}"
        return None if row is None else written(stream, table, bucket_ms, row)

    def sent(self, key: Values, from_ms: int, is_it: Callable[[Change], bool] | None = None) -> Sent | None:
        """Return Kafka's record with that key, produced at or after `from_ms`."""
        now_ms = times.now_ms()
        return self._records.find(self.stream, key, from_ms - CLOCKS_MS, now_ms, TIMEOUT_S, is_it)

    def describe_slot(self, symbol: str) -> str:
        """Describe the state of slot and connector, for a change of `symbol` that has not reached Kafka."""
        made = slots.of_feed(self._connection, self.target.names)
        missing = absent(self.target.names, made, self.target.feed.spec.scaling.connectors)
        of_symbol = [shard for shard in (*made, *missing) if self._carries(shard, symbol)]
        return "; ".join(
            f"{_described(made.get(shard), shard)}; {describe_connector(self.target.connect, shard.connector)}"
            for shard in of_symbol
        )

    def _carries(self, shard: Shard, symbol: str) -> bool:
        if shard.rows is None:
            return True
        rows = shard.rows.replace("%", "%%")
        ((carried,),) = self._query(f"SELECT {rows} FROM (VALUES (%s::text)) row (symbol)", [symbol])  # noqa: S608
        return bool(carried)

    def describe_consumers(self, sent: Sent) -> str:
        """Describe what happened to a record that is not in Cassandra."""
        for letter in read_pending(self.target.kafka, self.target.names).letters:
            if (letter.topic, letter.partition, letter.offset) == (sent.topic, str(sent.partition), str(sent.offset)):
                return f"it is a dead letter: {letter.reason}; retry it with `cryptocdc dlq replay`"
        group = self.target.names.consumer_group
        at = sent.topic, sent.partition
        committed = offsets.committed(self.target.kafka, group, [at], TIMEOUT_S).get(at, 0)
        if committed <= sent.offset:
            return f"the consumers have not passed it (committed offset {committed:,}): is one running?"
        return (
            f"the consumers have passed it (committed offset {committed:,}): it was deleted in Cassandra or has expired"
        )


def _described(slot: slots.Slot | None, shard: Shard) -> str:
    if slot is None:
        return f"there is no slot {shard.slot}"
    read = "active" if slot.active else "inactive"
    return f"slot {slot.name} is {read} and retains {slot.retained_bytes:,} bytes of WAL"


def _parameter(kind: Type, value: Any) -> object:
    return _EPOCH + timedelta(milliseconds=value) if kind is Type.TIMESTAMP else value


def now_us() -> int:
    return round(datetime.now(UTC).timestamp() * 1_000_000)
