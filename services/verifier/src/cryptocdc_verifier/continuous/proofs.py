"""Adds, withdraws and merges the proofs in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cryptocdc_adapters.postgres.proofs import Proof, proofs_of
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.storage.ddl import DROPPED, PROOFS
from cryptocdc_core.storage.windows import Window
from cryptocdc_verifier.comparing.postgres import timestamp


class Proofs:
    """The proofs of a feed; each call is a transaction of its own."""

    def __init__(self, connection: Connection, names: Names) -> None:
        """`connection` is in autocommit mode."""
        self._connection = connection
        self._names = names
        self._table = f"{quoted(names.schema)}.{PROOFS}"
        self._dropped = f"{quoted(names.schema)}.{DROPPED}"

    def of(self, stream: Stream) -> list[Proof]:
        """Return a stream's proofs, ordered by time."""
        return proofs_of(self._connection, self._names, stream)

    def add(self, stream: Stream, proof: Proof) -> None:
        self._run([self._insert(stream, proof)])

    def withdraw(self, stream: Stream, proof: Proof) -> None:
        """Delete a proof because its rows have changed since."""
        self._run([self._delete(stream, proof)])

    def merge(self, stream: Stream, proofs: list[Proof]) -> Proof:
        """Replace adjacent proofs by a single one and return it."""
        whole = merged(proofs)
        self._run([*(self._delete(stream, proof) for proof in proofs), self._insert(stream, whole)])
        return whole

    def dropped(self, cursor: Cursor, stream: Stream, day: int, proofs: list[Proof]) -> None:
        """Delete the proofs of a day and record the day as dropped, in `cursor`'s transaction, which drops its
        partition."""
        rows = sum(proof.rows for proof in proofs)
        remembered = (
            f"INSERT INTO {self._dropped} AS d (table_name, day, rows) VALUES (%s, {timestamp(day)}, %s)"  # noqa: S608
            " ON CONFLICT (table_name, day) DO UPDATE SET rows = d.rows + excluded.rows, dropped_at = now()",
            (stream.table, rows),
        )
        for statement, values in [*(self._delete(stream, proof) for proof in proofs), remembered]:
            cursor.execute(statement, values)

    def _insert(self, stream: Stream, proof: Proof) -> tuple[str, tuple[object, ...]]:
        start, end = timestamp(proof.window.start), timestamp(proof.window.end)
        return (
            f"INSERT INTO {self._table} (table_name, bucket_start, bucket_end, rows, versions, lsn)"  # noqa: S608
            f" VALUES (%s, {start}, {end}, %s, %s, '0/0'::pg_lsn + %s)"
            " ON CONFLICT (table_name, bucket_start) DO UPDATE SET bucket_end = excluded.bucket_end,"
            " rows = excluded.rows, versions = excluded.versions, lsn = excluded.lsn, proven_at = now()",
            (stream.table, proof.rows, proof.versions, proof.lsn),
        )

    def _delete(self, stream: Stream, proof: Proof) -> tuple[str, tuple[object, ...]]:
        return (
            f"DELETE FROM {self._table} WHERE table_name = %s AND bucket_start = {timestamp(proof.window.start)}",  # noqa: S608
            (stream.table,),
        )

    def _run(self, statements: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                for statement, values in statements:
                    cursor.execute(statement, values)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def merged(proofs: list[Proof]) -> Proof:
    """Return a proof that covers adjacent ones. Rows that changed after their own proof also differ from its sums."""
    return Proof(
        Window(proofs[0].window.start, proofs[-1].window.end),
        sum(proof.rows for proof in proofs),
        sum(proof.versions for proof in proofs),
        max(proof.lsn for proof in proofs),
    )
