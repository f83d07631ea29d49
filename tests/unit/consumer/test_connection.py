"""The consumer's connection to Cassandra: replaced when all nodes have other addresses."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra.sessions import LOST_S
from cryptocdc_consumer.connection import Connection
from cryptocdc_consumer.intake import Batch, Chunk
from cryptocdc_core.program.settings import CassandraSettings

from .fakes import Clock

SETTINGS: CassandraSettings = CassandraSettings.model_construct(
    hosts="cassandra", port=9042, username="u", password="p", datacenter="dc1", ca_file=None
)


class Session:
    """A session with the only node at `address`. `execute_async` returns that address."""

    def __init__(self, address: str, ids: str = "") -> None:
        self.address, self._ids, self.closed = address, ids, False
        self.prepared: list[str] = []

    def prepare(self, statement: str) -> Any:
        self.prepared.append(statement)
        return SimpleNamespace(query_id=f"{self._ids}{statement}".encode())

    def execute_async(self, batch: Any) -> str:
        return self.address

    def shutdown(self) -> None:
        self.closed = True


class Dns:
    """Connects to the current address of the host name, as the driver does for a new cluster."""

    def __init__(self) -> None:
        self.address: str | None = "10.0.0.1"
        self.ids = ""
        self.sessions: list[Session] = []

    def connect(self, _: CassandraSettings) -> tuple[Any, Any]:
        if self.address is None:
            raise NoHostAvailable("no host is called cassandra", {})
        session = Session(self.address, self.ids)
        self.sessions.append(session)
        return session, session


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def link(dns: Dns, clock: Clock) -> Connection:
    made = Connection(SETTINGS, "f", dns.connect, clock)
    assert made.connect(threading.Event())
    assert made.prepare("INSERT") == b"INSERT"
    return made


def batch() -> Batch:
    return Batch("t", b"key", Chunk({}, 1), None, [(b"row", ANY, None)])


class Looks(threading.Event):
    """An event that is waited for `times` times and is set then, each wait a second of `clock`."""

    def __init__(self, clock: Clock, times: int) -> None:
        super().__init__()
        self._clock, self._left = clock, times

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.now += timeout or 0
        self._left -= 1
        if self._left < 0:
            self.set()
        return self.is_set()


def test_a_new_session_is_used_once_cassandra_is_back_at_another_address(
    link: Connection, dns: Dns, clock: Clock
) -> None:
    dns.address = "10.0.0.2"
    began = clock.now
    link.keep_connected(Looks(clock, int(LOST_S) + 2), lambda: clock.now - began)
    assert link.send(batch()) == "10.0.0.2"
    assert dns.sessions[0].closed
    assert dns.sessions[1].prepared == ["INSERT"], "else the first batch would be refused as unprepared"


def test_a_cassandra_that_answers_keeps_its_session(link: Connection, dns: Dns, clock: Clock) -> None:
    link.keep_connected(Looks(clock, 100), lambda: LOST_S - 1)
    assert len(dns.sessions) == 1


def test_the_old_session_stays_while_the_host_name_does_not_resolve(link: Connection, dns: Dns, clock: Clock) -> None:
    dns.address = None
    link.keep_connected(Looks(clock, 20), lambda: 60.0)
    assert link.send(batch()) == "10.0.0.1"
    dns.address = "10.0.0.3"
    link.keep_connected(Looks(clock, 2), lambda: 60.0)
    assert link.send(batch()) == "10.0.0.3"


def test_a_new_session_has_a_grace_period_before_it_is_replaced(link: Connection, dns: Dns, clock: Clock) -> None:
    clock.now += LOST_S
    link.keep_connected(Looks(clock, int(LOST_S)), lambda: 60.0)
    assert len(dns.sessions) == 2


def test_a_session_with_other_statement_ids_is_not_used(link: Connection, dns: Dns) -> None:
    dns.address, dns.ids = "10.0.0.4", "other "
    link.reconnect()
    assert link.send(batch()) == "10.0.0.1"
    assert dns.sessions[1].closed


def test_a_failing_first_connection_is_reported_as_an_obstacle(dns: Dns, clock: Clock) -> None:
    dns.address = None
    link = Connection(SETTINGS, "f", dns.connect, clock)
    assert link.connect(Looks(clock, 3)) is False
    assert link.waiting_s >= 3
    assert "no host is called cassandra" in (link.obstacle() or "")
