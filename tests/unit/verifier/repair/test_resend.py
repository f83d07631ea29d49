"""Sending rows again, in a PostgreSQL that is a list of statements."""

import contextlib
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import DeadlockDetected

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.names import Names
from cryptocdc_verifier.repair import resend as sending
from cryptocdc_verifier.repair.resend import Resent, resend

KLINES = by_table("klines")
ROWS = [Resent((b"BTCUSDT", b"1m", b"60000"), 5, 5)]
ONCE = ["BEGIN", "UPDATE", "COMMIT"]


class Server:
    """A connection and its cursor. `errors` are raised by the next updates, one by each; `limited` says whether each
    statement was within a time limit."""

    def __init__(self, *errors):
        self.errors, self.lost = list(errors), False
        self.statements, self.limited = [], []
        self.limit = None
        self.rowcount = 1

    def cursor(self):
        return contextlib.nullcontext(self)

    def execute(self, statement, _values=()):
        self.statements.append(statement.split()[0])
        self.limited.append(self.limit is not None)
        if self.lost:
            raise psycopg2.InterfaceError("connection already closed")
        if self.statements[-1] == "UPDATE" and self.errors:
            error = self.errors.pop(0)
            self.lost = isinstance(error, psycopg2.OperationalError) and not isinstance(error, DeadlockDetected)
            raise error


def sent(server: Any) -> int:
    return resend(server, Names("fid"), KLINES, ROWS)


@pytest.fixture(autouse=True)
def _limits(monkeypatch):
    @contextlib.contextmanager
    def answering(server, limit_s):
        server.limit = limit_s
        yield
        server.limit = None

    monkeypatch.setattr(sending, "answering", answering)


def test_each_statement_must_be_answered_within_a_limit():
    server = Server()

    assert sent(server) == 1
    assert server.statements == ONCE
    assert all(server.limited)


def test_a_transaction_that_a_deadlock_ended_is_repeated():
    server = Server(DeadlockDetected())

    assert sent(server) == 1
    assert server.statements == ["BEGIN", "UPDATE", "ROLLBACK", *ONCE]


def test_deadlocks_are_retried_only_for_a_while(monkeypatch):
    monkeypatch.setattr(sending, "DEADLOCKED_S", 0.0)

    with pytest.raises(DeadlockDetected):
        sent(Server(DeadlockDetected()))


def test_a_lost_connection_is_reported_as_what_it_is():
    with pytest.raises(psycopg2.OperationalError, match="SSL SYSCALL error"):
        sent(Server(psycopg2.OperationalError("SSL SYSCALL error: EOF detected")))
