"""Cassandra: a session set up to be fast, and a plan's schema applied."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from cassandra import OperationTimedOut
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy

from cryptocdc_core.settings import CassandraSettings

REQUEST_TIMEOUT_S = 20


def connect(settings: CassandraSettings, keyspace: str | None = None) -> tuple[Cluster, Session]:
    """A cluster and its session; the caller shuts the cluster down. Raises NoHostAvailable.

    TCP_NODELAY: without it each small request waits for the kernel's 40 ms (1,100 against 24,000 rows a second).
    """
    cluster = Cluster(
        settings.hosts.split(","),
        port=settings.port,
        auth_provider=PlainTextAuthProvider(settings.username, settings.password),
        execution_profiles={
            EXEC_PROFILE_DEFAULT: ExecutionProfile(
                load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.datacenter)),
                request_timeout=REQUEST_TIMEOUT_S,
            )
        },
        protocol_version=5,
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        connect_timeout=10,
        # The default waits up to ten minutes before it tries a node again; a restart takes seconds.
        reconnection_policy=ExponentialReconnectionPolicy(0.5, 10),
    )
    try:
        return cluster, cluster.connect(keyspace)
    except BaseException:
        cluster.shutdown()
        raise


def apply_schema(settings: CassandraSettings, statements: Sequence[str]) -> None:
    """Run a plan's statements, each once the one before has reached all nodes. They may be run again."""
    cluster, session = connect(settings)
    try:
        for statement in statements:
            for attempt in range(3):
                try:
                    session.execute(statement, timeout=60)
                    break
                except (OperationTimedOut, NoHostAvailable):
                    # A node busy with its first start answers schema changes late; the statement may well have landed.
                    if attempt == 2:
                        raise
                    time.sleep(1 + attempt)
    finally:
        cluster.shutdown()
