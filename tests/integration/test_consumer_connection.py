"""The consumer's connection to a real Cassandra that comes back at another address under the same name."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra.sessions import LOST_S
from cryptocdc_consumer.connection import Connection
from cryptocdc_local.applier import Servers
from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

NAME = "cassandra.test"


class Address:
    """Cassandra at another address of this machine: every byte is handed on. Closed, nobody answers there any more."""

    def __init__(self, host: str, port: int, to: tuple[str, int]) -> None:
        self._to = to
        self._sockets = [socket.create_server((host, port))]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._sockets[0].accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_cassandra_that_returns_at_another_address_is_reconnected(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, port = (servers.cassandra.hosts, servers.cassandra.port), free_port()
    settings = servers.cassandra.model_copy(update={"hosts": NAME, "port": port})
    resolve: Callable[..., Any] = socket.getaddrinfo
    addresses = {NAME: "127.0.0.2"}
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: resolve(addresses.get(host, host), *more, **named)
    )
    first = Address("127.0.0.2", port, real)
    link, stop = Connection(settings, "any"), threading.Event()
    assert link.connect(stop)
    answered_at = time.monotonic()

    def answers() -> bool:
        nonlocal answered_at
        try:
            link.session.execute("SELECT release_version FROM system.local", timeout=2)
        except (NoHostAvailable, DriverException):
            return False
        answered_at = time.monotonic()
        return True

    assert answers()
    keeping = threading.Thread(target=link.keep_connected, args=(stop, lambda: time.monotonic() - answered_at))
    keeping.start()
    try:
        first.close()
        wait_for("the old address to be gone", lambda: not answers(), 30)
        addresses[NAME] = "127.0.0.3"
        second = Address("127.0.0.3", port, real)
        wait_for("an answer from the new address", answers, 5 * LOST_S)
        second.close()
    finally:
        stop.set()
        keeping.join(30)
        link.close()
