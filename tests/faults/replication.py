"""What can happen to change data capture: its slot, the connector and its offsets, and PostgreSQL's own past."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import psycopg2
import requests

from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect, ConnectError
from cryptocdc_core.program.backoff import retry
from cryptocdc_local.platform.installation.programs import postgres_programs, run_program
from cryptocdc_local.platform.servers.postgres import postgresql_conf
from cryptocdc_local.running.claim import changing
from tests.faults.cell import Cell
from tests.faults.fault import Fault, Outcome
from tests.integration.api_client import free_port

OFFSETS_TOPIC = "connect-offsets"
QUEUED_MS = 5_000
"""Rows are this much older than their commit at most."""
UNEQUAL = "verifier_differences|verifier_repaired_rows"


def slot_of(cell: Cell) -> str:
    return cell.it.plan.names.slot


def drop_slot(cell: Cell) -> None:
    """Dropped by hand under a connector that reads it."""
    name = slot_of(cell)

    def dropped() -> bool:
        cell.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", name,
                 superuser=True)  # fmt: skip
        with contextlib.suppress(psycopg2.errors.ObjectInUse, psycopg2.errors.UndefinedObject):
            cell.sql("SELECT pg_drop_replication_slot(%s)", name, superuser=True)
            return True
        return False

    cell.wait("the slot dropped", dropped, 30)


def invalidate_slot(cell: Cell) -> None:
    """Connect is down while PostgreSQL writes more log than it may keep for the slot."""
    megabytes = cell.random.randint(40, 80)
    cell.note(megabytes=megabytes)
    with cell.platform.unsupervised():
        cell.platform.kill("connect")
        _limit_log(cell, "1MB")
        try:

            def lost() -> bool:
                filler = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))"
                cell.sql(f"{filler} FROM generate_series(1, %s)", megabytes, superuser=True)
                cell.sql("SELECT pg_switch_wal()", superuser=True)
                cell.sql("CHECKPOINT", superuser=True)
                slot = slots.read(cell.direct.postgres, slot_of(cell))
                return slot is not None and not slot.usable

            cell.wait("the slot lost", lost, 90)
        finally:
            _limit_log(cell, "4GB")
    cell.wait("Connect again", cell.platform.is_running, 180)


def _limit_log(cell: Cell, limit: str) -> None:
    cell.sql(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{limit}'", superuser=True)
    cell.sql("SELECT pg_reload_conf()", superuser=True)


def wait_for_restart_point(cell: Cell) -> None:
    """Wait until PostgreSQL has just moved the position from which it would read the slot again, which it does every 15
    s. Debezium itself refuses to start where that is beyond its own position."""

    def position() -> object:
        query = "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = %s"
        return cell.sql(query, slot_of(cell), superuser=True)

    before = position()
    cell.wait("a new restart point", lambda: position() != before, 60)


def advance_slot(cell: Cell) -> None:
    """Somebody advances the slot while the connector is stopped: what it skipped is never sent. The connector starts
    again with the run's next look at it."""
    connect, name = Connect(cell.direct.connect.url), cell.it.plan.names.connector
    seconds = round(cell.random.uniform(2, 5), 1)
    cell.note(seconds=seconds)
    connect.stop(name)
    connect.wait_stopped(name)
    cell.hold(seconds)
    advance = "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())"

    def advanced() -> bool:
        with contextlib.suppress(psycopg2.errors.ObjectInUse, psycopg2.errors.UndefinedObject):
            cell.sql(advance, slot_of(cell), superuser=True)
            return True
        return False

    cell.wait("the slot advanced", advanced, 30)


def skip_changes(cell: Cell) -> None:
    """The same, and the connector reads on before anybody looks: Debezium does not notice it. Only the proof shows
    what is missing, and repair sends it again."""
    with changing(cell.platform.settings.run, cell.it.plan.names.fid):  # the run leaves the connector alone meanwhile
        wait_for_restart_point(cell)
        advance_slot(cell)
        connect, name = Connect(cell.direct.connect.url), cell.it.plan.names.connector
        retry(lambda: connect.resume(name), ConnectError, 30, 0.1)
        connect.wait_running(name)
        cell.hold(10)
    resumed_at = time.time()

    def repaired() -> bool:
        """Whether every table is proven beyond what was skipped."""
        samples = cell.samples(cell.program("verifier"))
        proven = samples.by("cryptocdc_verifier_proven_through_timestamp_seconds", "table")
        return bool(proven) and min(proven.values()) > resumed_at

    cell.wait("the verifier to notice it", lambda: cell.observer.matching(UNEQUAL), 180)
    cell.wait("repair", repaired, 300)


def lose_offsets(cell: Cell) -> None:
    """The topic with the connectors' offsets is deleted, and Connect started again."""
    with cell.platform.unsupervised():
        cell.platform.kill("connect")
        kafka.delete_topics(cell.direct.kafka, [OFFSETS_TOPIC])
        cell.wait("the topic gone", lambda: not kafka.replication(cell.direct.kafka, [OFFSETS_TOPIC]), 30)
    cell.wait("Connect again", cell.platform.is_running, 180)


def delete_connector(cell: Cell) -> None:
    answer = requests.delete(
        f"{cell.direct.connect.url}/connectors/{cell.it.plan.names.connector}", timeout=30
    )  # fmt: skip
    assert answer.ok, answer.text


def restore_backup(cell: Cell) -> None:
    """PostgreSQL is set back to a base backup; what it had captured since then, and its slots, are gone."""
    older_s = round(cell.random.uniform(8, 15), 1)
    cell.note(older_s=older_s)
    begun_ms = time.time() * 1000
    backup = _base_backup(cell, "backup")
    cell.hold(older_s)
    data = cell.platform.server("postgres").data
    with cell.platform.unsupervised():
        cell.platform.kill("postgres")
        cell.lost = (begun_ms - QUEUED_MS, time.time() * 1000)
        shutil.rmtree(data)
        backup.rename(data)
    cell.wait("PostgreSQL again", cell.platform.is_running, 120)


def promote_standby(cell: Cell) -> None:
    """A standby that has everything but the slot takes the primary's place, on a new timeline."""
    server, account = cell.platform.server("postgres"), cell.platform.account
    standby, port = _base_backup(cell, "standby"), free_port()
    source = f"primary_conninfo = '{_connection(cell)}'\nhot_standby = on\n"
    account.write(standby / "postgresql.auto.conf", postgresql_conf(port) + source)
    account.write(standby / "standby.signal", "")
    control = [str(_program(cell, "pg_ctl")), "-w", "-D", str(standby)]
    run_program(account, [*control, "start", "-l", str(cell.platform.settings.log / "standby.log")])
    cell.hold(cell.random.uniform(3, 8))
    with cell.platform.unsupervised():
        # A clean stop sends everything to the standby first.
        cell.platform.process("postgres").stop(server.stop_signal, server.stop_limit)
        run_program(account, [*control, "promote"])
        run_program(account, [*control, "stop", "-m", "fast"])
        shutil.rmtree(server.data)
        standby.rename(server.data)
    cell.platform.start()


def _base_backup(cell: Cell, name: str) -> Path:
    folder = cell.platform.settings.data / f"postgres.{name}"
    shutil.rmtree(folder, ignore_errors=True)
    program = str(_program(cell, "pg_basebackup"))
    run_program(cell.platform.account, [program, "-d", _connection(cell), "-D", str(folder), "--checkpoint=fast"])
    return folder


def _connection(cell: Cell) -> str:
    port = cell.platform.settings.ports.postgres
    return f"host=127.0.0.1 port={port} user=postgres password={cell.superuser_password}"


def _program(cell: Cell, name: str) -> Path:
    return postgres_programs(cell.platform.settings.lib) / name


REPLICATION = (
    Fault(
        "slot-dropped", "the slot is dropped while the connector reads it", drop_slot, Outcome.SNAPSHOT, recovers_s=180
    ),
    Fault(
        "slot-invalidated", "PostgreSQL invalidates the slot: the WAL cap is tiny and Connect is down", invalidate_slot,
        Outcome.SNAPSHOT, recovers_s=180,
    ),
    Fault(
        "slot-ahead", "the slot is advanced past the connector's offset", advance_slot, Outcome.SNAPSHOT,
        recovers_s=180,
    ),
    Fault(
        "slot-skipped", "the slot is advanced and read on before the run looks at it; `spec.repair` is enabled",
        skip_changes,
        sign=UNEQUAL, recovers_s=180,
        spec={"repair": {"enabled": True, "maxRowsPerHour": 20_000}},
    ),
    Fault(
        "connect-offsets-lost", "Connect's offset topic is deleted", lose_offsets, Outcome.SNAPSHOT,
        sign="lost its offsets; taking a new snapshot", recovers_s=180,
    ),
    Fault(
        "connector-deleted", "the connector is deleted, and made again", delete_connector, sign="connector was missing"
    ),
    Fault(
        "postgres-restored", "PostgreSQL is set back to a backup 8 to 15 s older", restore_backup, Outcome.SNAPSHOT,
        recovers_s=180, dies=("producer",),
        loses="Prices and order books that were captured after the backup, and before PostgreSQL was set back, are in"
        " Cassandra alone (extra). Trades of that time are fetched again over REST: their `received_at` differs where"
        " Cassandra has kept the first one. Nothing else differs, and nothing of any other time.",
    ),
    Fault(
        "standby-promoted", "a standby without the slot is promoted", promote_standby, Outcome.SNAPSHOT, recovers_s=180
    ),
)  # fmt: skip
