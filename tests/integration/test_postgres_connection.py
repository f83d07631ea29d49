"""Connections to PostgreSQL that are dead without having been closed."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg2
import pytest

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_local.applier import Servers
from tests.faults.proxy import Link, Proxy
from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cryptocdc-vanished'"


def test_a_statement_that_is_never_answered_raises_instead_of_waiting_forever(servers: Servers) -> None:
    with Proxy([Link("postgres", free_port(), servers.postgres.port)]) as proxy:
        behind = servers.postgres.model_copy(update={"port": proxy.links["postgres"].port})
        with closing(postgres.connect(behind, "test", autocommit=True)) as connection, connection.cursor() as cursor:
            with postgres.answering(connection, 5):
                cursor.execute("SELECT 1")
            proxy.set("postgres", hanging=True)
            began = time.monotonic()
            with pytest.raises(psycopg2.OperationalError), postgres.answering(connection, 0.5):
                cursor.execute("SELECT 1")
            assert time.monotonic() - began < 5
            assert connection.closed


@pytest.mark.parametrize("holding", [False, True])
def test_the_transaction_of_a_client_that_vanished_is_ended_unless_it_may_hold_one(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, holding: bool
) -> None:
    monkeypatch.setattr(postgres, "ANSWER_S", 1.0)
    with (
        closing(postgres.connect(servers.postgres, "vanished", holding=holding)) as connection,
        closing(postgres.connect(servers.postgres, "test", autocommit=True)) as other,
        other.cursor() as cursor,
    ):
        connection.cursor().execute("SELECT 1")
        began = time.monotonic()

        def sessions() -> int:
            cursor.execute(OPEN)
            (found,) = cursor.fetchone() or (0,)
            return int(found)

        if holding:
            wait_for("longer than others may", lambda: time.monotonic() > began + 2)
            assert sessions() == 1
        else:
            wait_for("the end of the transaction", lambda: sessions() == 0, 10)
