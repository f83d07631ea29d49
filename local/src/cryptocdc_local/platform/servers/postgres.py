"""PostgreSQL 18, from the programs in the wheel: logical decoding on, durability untouched, SCRAM everywhere."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil
import psycopg2
from psycopg2 import sql

from cryptocdc_local.platform import endpoints
from cryptocdc_local.platform.installation.programs import postgres_programs, run_program
from cryptocdc_local.platform.servers.process import Command
from cryptocdc_local.platform.servers.server import Server, port_open
from cryptocdc_local.platform.settings import LOOPBACK


def postgresql_conf(port: int) -> str:
    """Return the settings that differ from initdb's. fsync, full_page_writes and synchronous_commit stay on."""
    return f"""\
listen_addresses = '{LOOPBACK}'
port = {port}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 96MB
jit = off                           # compiling costs more than executing these short statements
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
log_min_messages = warning
log_checkpoints = off
wal_level = logical
max_wal_senders = 32
max_replication_slots = 32
max_slot_wal_keep_size = 4GB        # an unread slot may not fill the disk: it is invalidated instead
max_wal_size = 512MB
"""


PG_HBA_CONF = f"""\
# TYPE  DATABASE     USER  ADDRESS         METHOD
host    all          all   {LOOPBACK}/32    scram-sha-256
host    replication  all   {LOOPBACK}/32    scram-sha-256
"""


class Postgres(Server):
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint

    def ports(self) -> dict[str, int]:
        return {"CRYPTOCDC_POSTGRES_PORT": self.settings.ports.postgres}

    def prepare(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        self._drop_foreign_lock()
        self.account.write(self.data / "postgresql.auto.conf", postgresql_conf(self.settings.ports.postgres))
        self.account.write(self.data / "pg_hba.conf", PG_HBA_CONF)

    def _drop_foreign_lock(self) -> None:
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(lock.read_text(encoding="utf-8").split("\n")[0])
            if lock_is_foreign(pid, psutil.pid_exists(pid), self._living()):
                lock.unlink()

    def _living(self) -> set[int]:
        """Return the pids of all PostgreSQL processes of this account."""
        living = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == "postgres" and process.uids().real == self.account.uid:
                    living.add(process.pid)
        return living

    def _initdb(self) -> None:
        """Initialize a temporary folder and rename it once complete, so that a killed start leaves no partial
        database."""
        password_file = self.settings.run / "postgres.initial-password"
        draft = self.fresh_draft(f"--pwfile={password_file}")
        self.account.write(password_file, self.credentials.postgres_superuser + "\n")
        try:
            run_program(
                self.account,
                [
                    str(self._bin / "initdb"),
                    f"--pgdata={draft}",
                    f"--username={endpoints.POSTGRES_SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                ],
            )
        finally:
            password_file.unlink(missing_ok=True)
        draft.rename(self.data)

    @property
    def _bin(self) -> Path:
        return postgres_programs(self.settings.lib)

    @property
    def mark(self) -> str:
        return str(self.data)

    def command(self) -> Command:
        return Command(
            argv=[str(self._bin / "postgres"), "-D", self.mark],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(self.settings.home)},
            cwd=self.data,
        )

    def ready(self) -> bool:
        if not port_open(self.settings.ports.postgres):
            return False
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:  # "the database system is starting up"
            return False
        return True

    def finish(self) -> None:
        """Create the database, its owner, the replication role and the reader, each only if it is missing."""
        connection = self._connect("postgres")
        try:
            connection.autocommit = True  # CREATE DATABASE refuses a transaction
            with connection.cursor() as cursor:
                for role, password, attributes in (
                    (endpoints.POSTGRES_OWNER, self.credentials.postgres_owner, ""),
                    (endpoints.POSTGRES_REPLICATION, self.credentials.postgres_replication, "REPLICATION"),
                    (endpoints.READER, self.credentials.reader, ""),
                ):
                    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
                    if cursor.fetchone() is None:
                        create = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
                        cursor.execute(create.format(sql.Identifier(role), sql.SQL(attributes), sql.Literal(password)))
                for name in (endpoints.POSTGRES_REPLICATION, endpoints.READER):
                    cursor.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(sql.Identifier(name)))
                # The PostgreSQL dashboard shows sessions and sizes, which need this role.
                cursor.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(endpoints.READER)))
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (endpoints.DATABASE,))
                if cursor.fetchone() is None:
                    create = sql.SQL("CREATE DATABASE {} OWNER {}")
                    owner = sql.Identifier(endpoints.POSTGRES_OWNER)
                    cursor.execute(create.format(sql.Identifier(endpoints.DATABASE), owner))
        finally:
            connection.close()

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host=LOOPBACK,
            port=self.settings.ports.postgres,
            dbname=database,
            user=endpoints.POSTGRES_SUPERUSER,
            password=self.credentials.postgres_superuser,
            connect_timeout=5,
        )


def lock_is_foreign(pid: int, exists: bool, living: set[int]) -> bool:
    """Return whether the lock file with this pid is stale and would prevent a start; `living`: pids of PostgreSQLs.

    After a crash of the machine, the pid may belong to another program. In a new container, where pids are small, it
    soon does, perhaps between this check and the start: without any PostgreSQL the lock protects nothing. If there is
    one and the pid does not exist, PostgreSQL itself checks whether orphans still use the data.
    """
    return not living or (exists and pid not in living)
