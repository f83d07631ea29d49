"""PostgreSQL: connections, and applying a plan's schema."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import psycopg2
from psycopg2.extensions import connection as Connection

from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import PostgresSettings

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
ANSWER_S = 30.0
"""How long a server that answers nothing is waited for: as long as TCP would wait for its acknowledgements."""
DEADLOCKED_S = 60.0
"""How long a schema is retried while concurrent transactions prevent it."""


def connect(settings: PostgresSettings, program: str, *, autocommit: bool = False, holding: bool = False) -> Connection:
    """Return a connection in UTC, named `program` in pg_stat_activity. Raises psycopg2.OperationalError.

    TCP keep-alive detects a dead peer within half a minute; without it a network failure would block a writer for
    hours. `holding`: a transaction may be idle for long. Others end then: PostgreSQL would keep the locks of a client
    that has vanished, for which the next connection's writes would wait.
    """
    idle_s = 0 if holding else ANSWER_S
    connection = psycopg2.connect(
        host=settings.host,
        port=settings.port,
        dbname=settings.database,
        user=settings.user,
        password=settings.password,
        sslmode=settings.sslmode,
        # libpq's own default if none is given
        sslrootcert=None if settings.ca_file is None else str(settings.ca_file),
        application_name=f"cryptocdc-{program}",
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=4,
        tcp_user_timeout=30_000,
        options=f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_s:.0f}s",
    )
    connection.autocommit = autocommit
    return connection


@contextlib.contextmanager
def answering(connection: Connection, limit_s: float = ANSWER_S) -> Iterator[None]:
    """Sever the connection if the block takes longer than `limit_s`, so that it raises psycopg2.OperationalError.

    libpq waits for an answer without a limit. TCP notices a server that has vanished, but not if a proxy or a load
    balancer in between still acknowledges what is sent.
    """
    end = socket.socket(fileno=os.dup(connection.fileno()))
    timer = threading.Timer(limit_s, _sever, [end, limit_s])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        end.close()


def _sever(end: socket.socket, limit_s: float) -> None:
    log.warning("PostgreSQL has not answered for %.0f s: connection closed", limit_s)
    with contextlib.suppress(OSError):  # it has just been closed
        end.shutdown(socket.SHUT_RDWR)


def tables(connection: Connection, schema: str) -> list[str]:
    """Return the partitioned tables, which are the streams'; none if the schema does not exist. Raises
    psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid"
            " WHERE nspname = %s AND relkind = 'p'",
            (schema,),
        )
        return sorted(name for (name,) in cursor.fetchall())


def missing_tables(connection: Connection, schema: str, tables: Iterable[str], publication: str) -> list[str]:
    """Return those of `tables` that do not exist or are not in `publication`. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wanted FROM unnest(%s) AS wanted WHERE NOT EXISTS (SELECT FROM pg_publication_tables"
            " WHERE pubname = %s AND schemaname = %s AND tablename = wanted)",
            (list(tables), publication, schema),
        )
        return sorted(name for (name,) in cursor.fetchall())


def apply_schema(settings: PostgresSettings, statements: Sequence[str]) -> None:
    """Run a plan's statements in one transaction: all of the schema, or none.

    Raises psycopg2.errors.RaiseException, with the plan's message, if existing rows forbid it.
    """
    connection = connect(settings, "apply")
    try:
        # Altering several tables may deadlock with a producer that writes to several; PostgreSQL ends one of the two.
        retry(partial(_run_all, connection, statements), psycopg2.errors.DeadlockDetected, DEADLOCKED_S, 0.1)
    finally:
        connection.close()


def _run_all(connection: Connection, statements: Sequence[str]) -> None:
    with connection, connection.cursor() as cursor:
        # Concurrent appliers would fail because of each other's CREATE … IF NOT EXISTS.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('cryptocdc-apply'))")
        for statement in statements:
            cursor.execute(statement)
