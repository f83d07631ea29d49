"""Cassandra: fast sessions, batches of serialized rows, and applying a plan's schema."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from cassandra import AuthenticationFailed, ConsistencyLevel, OperationTimedOut, UnresolvableContactPoints
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy
from cassandra.protocol import BatchMessage, ProtocolHandler
from cassandra.query import BatchStatement, BatchType

from cryptocdc_core.names import quoted
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.program.settings import CassandraSettings

REQUEST_TIMEOUT_S = 20
LOST_S = 10.0
"""After this long without any node, the hosts' names are looked up again: the driver keeps trying the old addresses, of
which none ever answers if all nodes were replaced at once, as a single pod is."""

_HEADER = struct.Struct(">BBhBi")
_BATCH_OPCODE = 0x0D


class EncodedBatch(BatchStatement):  # type: ignore[misc]
    """An unlogged batch of statements that are already serialized, from `statement_head` and their values.

    The driver would take each value through four calls of Python; a row of fifteen values costs it more than all the
    rest of the consumer. `routing_key` is the partition's, as Cassandra composes it.
    """

    def __init__(self, statements: list[bytes], keyspace: str, routing_key: bytes) -> None:
        super().__init__(batch_type=BatchType.UNLOGGED)
        self._statements_and_parameters = statements
        self.keyspace = keyspace
        self.routing_key = routing_key
        self.is_idempotent = True


def statement_head(query_id: bytes, values: int) -> bytes:
    """Return the bytes before a prepared statement's values in a batch (native protocol 5, section 4.1.7)."""
    return struct.pack(f">BH{len(query_id)}sH", 1, len(query_id), query_id, values)


class _Handler(ProtocolHandler):  # type: ignore[misc]
    """The driver's protocol handler, extended by EncodedBatch."""

    @classmethod
    def encode_message(
        cls, msg: Any, stream_id: int, protocol_version: int, compressor: Any, allow_beta_protocol_version: bool
    ) -> bytes:
        if not (isinstance(msg, BatchMessage) and msg.queries and type(msg.queries[0]) is bytes):
            encoded: bytes = super().encode_message(
                msg, stream_id, protocol_version, compressor, allow_beta_protocol_version
            )
            return encoded
        body = b"".join(
            (
                struct.pack(">BH", msg.batch_type.value, len(msg.queries)),
                *msg.queries,
                # No flags: every statement has its own timestamp.
                struct.pack(">Hi", msg.consistency_level, 0),
            )
        )
        return _HEADER.pack(protocol_version, 0, stream_id, _BATCH_OPCODE, len(body)) + body


def connect(settings: CassandraSettings, keyspace: str | None = None) -> tuple[Cluster, Session]:
    """Return a cluster and its session; the caller shuts the cluster down. Raises NoHostAvailable.

    TCP_NODELAY: without it each small request waits for the kernel's 40 ms (1,100 against 24,000 rows a second).
    """
    cluster = _cluster(settings)
    try:
        session = cluster.connect(keyspace)
        session.client_protocol_handler = _Handler
        return cluster, session
    except BaseException:
        cluster.shutdown()
        raise


def _cluster(settings: CassandraSettings) -> Cluster:
    try:
        return Cluster(
            settings.hosts.split(","),
            port=settings.port,
            auth_provider=PlainTextAuthProvider(settings.username, settings.password),
            execution_profiles={
                EXEC_PROFILE_DEFAULT: ExecutionProfile(
                    load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.datacenter)),
                    request_timeout=REQUEST_TIMEOUT_S,
                    consistency_level=ConsistencyLevel.LOCAL_QUORUM,
                )
            },
            protocol_version=5,
            ssl_context=_tls(settings),
            sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            connect_timeout=10,
            # The default of two seconds is less than a node needs after its start to report its schema.
            control_connection_timeout=REQUEST_TIMEOUT_S,
            # By default the driver waits up to ten minutes before it retries a node; a restart takes seconds.
            reconnection_policy=ExponentialReconnectionPolicy(0.5, 10),
        )
    except UnresolvableContactPoints as error:
        # A headless service without ready pods has no address.
        raise NoHostAvailable(f"can't resolve {settings.hosts}", {}) from error


def _tls(settings: CassandraSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=str(settings.ca_file))
    context.check_hostname = False
    return context


def tables(session: Session, keyspace: str) -> set[str]:
    """Return the tables of a keyspace, none if it does not exist. Raises the driver's exceptions."""
    rows = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,))
    return {row.table_name for row in rows}


def missing_tables(settings: CassandraSettings, keyspace: str, wanted: Iterable[str]) -> list[str]:
    """Return those of `wanted` that do not exist. Raises NoHostAvailable and the driver's other exceptions."""
    cluster, session = connect(settings)
    try:
        return sorted(set(wanted) - tables(session, keyspace))
    finally:
        cluster.shutdown()


def may(settings: CassandraSettings, keyspace: str, rights: Iterable[str]) -> bool:
    """Return whether the login of `settings` works and has all `rights` on the keyspace. Raises as `missing_tables`."""
    try:
        cluster, session = connect(settings)
    except NoHostAvailable as error:
        if any(isinstance(reason, AuthenticationFailed) for reason in error.errors.values()):
            return False
        raise
    try:
        # Every role may list its own permissions.
        of = f"ON KEYSPACE {quoted(keyspace)} OF {quoted(settings.username)}"
        return all(any(session.execute(f"LIST {right} {of}")) for right in rights)
    finally:
        cluster.shutdown()


def apply_schema(settings: CassandraSettings, statements: Sequence[str]) -> None:
    """Run a plan's idempotent statements, each after the previous one has reached all nodes."""
    cluster, session = connect(settings)
    try:
        for statement in statements:
            # A node that is still starting answers schema changes late; the statement may have been applied.
            retry(partial(session.execute, statement, timeout=60), (OperationTimedOut, NoHostAvailable), 150, 1)
    finally:
        cluster.shutdown()
