"""The consumer's session with Cassandra, replaced by another one when every node that it knew is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from cassandra import DriverException
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.connection import ConnectionException

from cryptocdc_adapters import cassandra
from cryptocdc_consumer.intake import Batch
from cryptocdc_core.settings import CassandraSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
FAILURES = (NoHostAvailable, DriverException, ConnectionException)


class Link:
    """`connect` first; then `prepare` and `send` from one thread, while `keep_connected` runs on another."""

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
        """By statement: the driver itself holds them weakly, and needs them when Cassandra has forgotten them."""
        self.session: Any = None

    def connect(self, stop: threading.Event) -> bool:
        """Wait for Cassandra as long as it takes. Return False when `stop` came first."""
        while not stop.is_set():
            try:
                self._cluster, self.session = self._open(self._settings)
            except NoHostAvailable as error:
                self._last_error = f"{type(error).__name__}: {error}"
                log.warning("Cassandra: %s", error)
                stop.wait(LOOK_EVERY_S)
            else:
                self._connected_at = self._now()
                return True
        return False

    @property
    def waiting_s(self) -> float:
        """Seconds since the start without a first connection; 0.0 once there was one."""
        return 0.0 if self.session is not None else max(0.0, self._now() - self._connected_at)

    def obstacle(self) -> str | None:
        """Return why there is no session yet, None once there is one."""
        if self.session is not None:
            return None
        return f"no connection to Cassandra yet: {self._last_error or 'connecting'}"

    def prepare(self, statement: str) -> bytes:
        """Return the prepared statement's id. Raises what the driver raises."""
        self._prepared[statement] = self.session.prepare(statement)
        query_id: bytes = self._prepared[statement].query_id
        return query_id

    def send(self, batch: Batch) -> Any:
        rows = [statement for statement, _, _ in batch.entries]
        return self.session.execute_async(cassandra.EncodedBatch(rows, self._keyspace, batch.routing_key))

    def keep_connected(self, stop: threading.Event, stalled_s: Callable[[], float]) -> None:
        """Connect again, the hosts' names looked up again, whenever nothing was acknowledged for LOST_S seconds."""
        while not stop.wait(LOOK_EVERY_S):
            if stalled_s() > cassandra.LOST_S and self._now() - self._connected_at > cassandra.LOST_S:
                self.reconnect()

    def reconnect(self) -> None:
        """Replace the session; the one before stays until there is another. What it had in flight fails, and is sent
        again through the new one."""
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
            # Rows that are encoded already contain the old ids; only a new start encodes them again.
            cluster.shutdown()
            log.error("Cassandra prepares the same statements under other ids: the consumer must be restarted")
            return
        before, self._cluster, self.session, self._prepared = self._cluster, cluster, session, prepared
        before.shutdown()
        log.info("connected to Cassandra again, at the addresses that %s has now", self._settings.hosts)

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
