"""What is served of a feed's slot on a primary, on its standby, and after a switchover: a demoted primary keeps a
slot that blocks the copy of that name until it is dropped by hand."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import RealDictCursor

from cryptocdc_local.platform.account import Account, account_for
from cryptocdc_local.platform.installation.programs import install_postgres, postgres_programs, run_program
from cryptocdc_local.platform.metrics.queries import all_queries
from tests.integration.api_client import free_port
from tests.integration.conftest import home_folder
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SLOT = "majors_slot"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = logical
hot_standby_feedback = on
sync_replication_slots = on
wal_receiver_status_interval = 1s
shared_buffers = 16MB
"""
(SLOTS,) = (query for query in all_queries() if query.name == "cryptocdc_slots")
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "CryptocdcSlotNotSafe.md"


@dataclass(frozen=True)
class Instance:
    """One of two PostgreSQL servers, each of which follows the other while it is a standby."""

    data: Path
    port: int
    programs: Path
    account: Account

    def run(self, program: str, *arguments: str) -> str:
        return run_program(self.account, [str(self.programs / program), *arguments])

    def start(self) -> None:
        log = self.data.with_suffix(".log")
        self.run("pg_ctl", "start", "--wait", "-D", str(self.data), "-l", str(log), "-o", f"-p {self.port}")

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "--wait", "-D", str(self.data), "-m", "fast")

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "--wait", "-D", str(self.data))

    def follow(self, primary: Instance) -> None:
        """Become the primary's standby at the next start."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres dbname=postgres"
        lines = f"primary_conninfo = '{source}'\nprimary_slot_name = '{self.data.name}'\n"
        self.account.write(self.data / "postgresql.auto.conf", SETTINGS + lines)
        self.account.write(self.data / "standby.signal", "")

    def ask(self, query: str) -> list[dict[str, Any]]:
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(query)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def slot(self) -> dict[str, Any]:
        """What CloudNativePG's exporter would serve of the feed's slot; empty while there is none."""
        return next((row for row in self.ask(SLOTS.text) if row["slot_name"] == SLOT), {})


@pytest.fixture
def pair() -> Iterator[tuple[Instance, Instance]]:
    """A primary with a failover slot, and its standby."""
    account, folder = account_for(home_folder()), home_folder() / "failover"
    install_postgres(home_folder() / "lib")
    programs = postgres_programs(home_folder() / "lib")
    shutil.rmtree(folder, ignore_errors=True)
    account.make_folder(folder)
    first, second = (Instance(folder / name, free_port(), programs, account) for name in ("first", "second"))
    first.run("initdb", f"--pgdata={first.data}", "--username=postgres", "--auth=trust", "--locale=C", "--no-sync")
    account.write(first.data / "postgresql.auto.conf", SETTINGS)
    with contextlib.ExitStack() as running:
        first.start()
        running.callback(first.stop)
        first.ask("SELECT pg_create_physical_replication_slot('second')")
        first.ask(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput', failover => true)")
        source = ["-h", "127.0.0.1", "-p", str(first.port), "-U", "postgres", "--checkpoint=fast"]
        first.run("pg_basebackup", *source, "-D", str(second.data))
        second.follow(first)
        second.start()
        running.callback(second.stop)
        second.ask("SELECT pg_create_physical_replication_slot('first')")
        yield first, second
    shutil.rmtree(folder)


def heartbeat(primary: Instance) -> None:
    """What the feeds' heartbeats and their connectors do: the slot moves on."""
    primary.ask("SELECT pg_log_standby_snapshot()")
    primary.ask(f"SELECT pg_replication_slot_advance('{SLOT}', pg_current_wal_lsn())")


def wait_safe(primary: Instance, standby: Instance) -> None:
    def safe() -> bool:
        heartbeat(primary)
        return standby.slot().get("safe") == 1

    wait_for("the standby's copy is safe", safe, 120)


def test_a_slot_copy_is_safe_once_a_promotion_would_keep_it(pair: tuple[Instance, Instance]) -> None:
    primary, standby = pair
    wait_safe(primary, standby)
    assert served(primary) == {"safe": 1, "lost": 0, "standby": 0, "orphaned": 0, "synced": 0, "temporary": 0}
    assert served(standby) == {"safe": 1, "lost": 0, "standby": 1, "orphaned": 0, "synced": 1, "temporary": 0}


def test_a_demoted_primarys_slot_is_distinguished_from_a_copy_and_the_runbook_removes_it(
    pair: tuple[Instance, Instance],
) -> None:
    old, new = pair
    wait_safe(old, new)
    old.stop()
    new.promote()
    old.follow(new)
    old.start()
    heartbeat(new)
    assert served(new)["safe"] == 1
    assert served(old) == {"safe": 0, "lost": 0, "standby": 1, "orphaned": 1, "synced": 0, "temporary": 0}

    # Nothing heals it, and its log is dropped at last: lost here, whole on the primary.
    old.ask("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    old.ask("SELECT pg_reload_conf()")

    def lost() -> bool:
        new.ask("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 40)")
        new.ask("SELECT pg_switch_wal()")
        new.ask("CHECKPOINT")
        old.ask("CHECKPOINT")  # a restartpoint
        return bool(old.slot()["lost"] == 1)

    wait_for("the demoted primary's slot is lost", lost, 120)
    heartbeat(new)
    assert (served(new)["lost"], served(new)["safe"]) == (0, 1)
    assert (served(old)["orphaned"], served(old)["safe"]) == (1, 0)

    removal = re.search(r"SELECT pg_drop_replication_slot\(.*? NOT active", RUNBOOK.read_text(), re.DOTALL)
    assert removal is not None
    new.ask(removal[0])
    assert served(new)["safe"] == 1, "it does nothing on a primary"
    old.ask(removal[0])
    wait_safe(new, old)
    old.ask(removal[0])
    assert served(old)["safe"] == 1, "nor to a copy"


def served(instance: Instance) -> dict[str, Any]:
    """The metrics that tell one case from another."""
    slot = instance.slot()
    return {name: slot[name] for name in ("safe", "lost", "standby", "orphaned", "synced", "temporary")}
