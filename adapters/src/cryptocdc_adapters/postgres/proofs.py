"""The proofs in PostgreSQL: which slices of a table's time the verifier found equal, and at which LSN."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.storage.ddl import DROPPED, PROOFS
from cryptocdc_core.storage.windows import Window

_MILLISECONDS = "(extract(epoch from {}) * 1000)::bigint"


@dataclass(frozen=True, slots=True)
class Proof:
    """`rows` and `versions`, the sum of their versions, show whether a slice has changed since; both are 0 for a
    computed table."""

    window: Window
    rows: int
    versions: int
    lsn: int


def proofs_of(connection: Connection, names: Names, stream: Stream) -> list[Proof]:
    """Return a stream's proofs, ordered by time. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_MILLISECONDS.format('bucket_start')}, {_MILLISECONDS.format('bucket_end')}, rows, versions,"  # noqa: S608
            f" lsn - '0/0' FROM {quoted(names.schema)}.{PROOFS} WHERE table_name = %s ORDER BY bucket_start",
            (stream.table,),
        )
        return [
            Proof(Window(int(start), int(end)), rows, int(versions), int(lsn))
            for start, end, rows, versions, lsn in cursor.fetchall()
        ]


def dropped_days(connection: Connection, names: Names, stream: Stream) -> set[int]:
    """Return the starts of the days whose rows were proven and then dropped by retention. Late rows may have created a
    new partition for such a day. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_MILLISECONDS.format('day')} FROM {quoted(names.schema)}.{DROPPED} WHERE table_name = %s",  # noqa: S608
            (stream.table,),
        )
        return {int(day) for (day,) in cursor.fetchall()}
