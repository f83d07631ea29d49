"""The consumer's connection to Cassandra, which is replaced when all known nodes are gone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from cassandra import DriverException
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.connection import ConnectionException

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_consumer.intake import Batch
from cryptocdc_core.program.settings import CassandraSettings

log = logging.getLogger(__name__)

CHECK_EVERY_S = 1.0
FAILURES = (NoHostAvailable, DriverException, ConnectionException)


class Connection:
    """Call `connect` first; then `prepare` and `send` from one thread, while `keep_connected` runs in another."""

    def __init__(
        self,
        settings: CassandraSettings,
        keyspace: str,
        connect: Callable[[CassandraSettings], tuple[Cluster, Session]] = cassandra.connect,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._keyspace = keyspace
        self._open = connect
        self._now = now
        self._cluster: Any = None
        self._connected_at = now()
        self._last_error = ""
        self._prepared: dict[str, Any] = {}
        """By statement. The driver holds only weak references, and needs them to prepare again after Cassandra
        restarts."""
        self.session: Any = None

    def connect(self, stop: threading.Event) -> bool:
        """Connect, however long it takes. Return False if `stop` is set first."""
        while not stop.is_set():
            try:
                self._cluster, self.session = self._open(self._settings)
            except NoHostAvailable as error:
                self._last_error = f"{type(error).__name__}: {error}"
                log.warning("Cassandra: %s", error)
                stop.wait(CHECK_EVERY_S)
            else:
                self._connected_at = self._now()
                return True
        return False

    @property
    def waiting_s(self) -> float:
        """Seconds since the start while there was no first connection; 0.0 afterwards."""
        return 0.0 if self.session is not None else max(0.0, self._now() - self._connected_at)

    def obstacle(self) -> str | None:
        """Return why there is no session yet, None once there is one."""
        if self.session is not None:
            return None
        return f"no connection to Cassandra yet: {self._last_error or 'connecting'}"

    def prepare(self, statement: str) -> bytes:
        """Prepare a statement and return its id. Raises the driver's exceptions."""
        self._prepared[statement] = self.session.prepare(statement)
        query_id: bytes = self._prepared[statement].query_id
        return query_id

    def send(self, batch: Batch) -> Any:
        rows = [statement for statement, _, _ in batch.entries]
        return self.session.execute_async(cassandra.EncodedBatch(rows, self._keyspace, batch.routing_key))

    def keep_connected(self, stop: threading.Event, stalled_s: Callable[[], float]) -> None:
        """Reconnect, with a new lookup of the hosts' names, whenever nothing was acknowledged for LOST_S seconds."""
        while not stop.wait(CHECK_EVERY_S):
            if stalled_s() > cassandra.LOST_S and self._now() - self._connected_at > cassandra.LOST_S:
                self.reconnect()

    def reconnect(self) -> None:
        """Replace the session; the old one stays until there is a new one. Its batches in flight fail and are retried
        through the new one."""
        try:
            cluster, session = self._open(self._settings)
        except FAILURES as error:
            log.warning("Cassandra: %s", error)
            return
        try:
            prepared = {statement: session.prepare(statement) for statement in self._prepared}
        except FAILURES as error:
            cluster.shutdown()
            log.warning("Cassandra: %s", error)
            return
        finally:
            self._connected_at = self._now()
        if any(prepared[statement].query_id != self._prepared[statement].query_id for statement in prepared):
            # Rows already encoded contain the old ids; only a restart encodes them again.
            cluster.shutdown()
            log.error("Cassandra returns other ids for the same statements: the consumer must be restarted")
            return
        before, self._cluster, self.session, self._prepared = self._cluster, cluster, session, prepared
        before.shutdown()
        log.info("reconnected to Cassandra at the current addresses of %s", self._settings.hosts)

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
