"""The real servers: logins, durability across crashes, and interrupted starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace

import psycopg2
import pytest
import requests
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import SERVERS, Endpoints, HaltError, Platform, PlatformSettings, machine
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.installation.jars import jars_folder
from cryptocdc_local.platform.installation.java import find_java
from cryptocdc_local.platform.installation.programs import install_postgres
from cryptocdc_local.platform.servers.cassandra import DEFAULT_SUPERUSER
from cryptocdc_local.platform.servers.postgres import Postgres
from cryptocdc_local.platform.servers.process import ServerProcess
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


def test_postgres_refuses_a_wrong_password(servers: Servers) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        postgres.connect(servers.postgres.model_copy(update={"password": "wrong"}), "test")


def test_kafka_refuses_a_client_without_a_login(servers: Servers) -> None:
    client = AdminClient({"bootstrap.servers": servers.kafka.bootstrap, "log_level": 0})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=3)


def test_connect_refuses_a_request_without_a_login(platform: Platform) -> None:
    url = f"http://127.0.0.1:{platform.settings.ports.connect}/connectors"
    assert requests.get(url, timeout=10).status_code == 401


def test_cassandra_has_no_default_superuser(servers: Servers) -> None:
    """Soon after the start, that is: Cassandra remembers a password it has seen for two seconds."""
    default = servers.cassandra.model_copy(update={"username": DEFAULT_SUPERUSER, "password": DEFAULT_SUPERUSER})

    def refused() -> bool:
        try:
            cluster, _ = cassandra.connect(default)
        except NoHostAvailable as error:
            return "incorrect" in str(error)
        cluster.shutdown()
        return False

    wait_for("the default superuser to be refused", refused, limit_s=10)


def test_durability_settings_are_not_weakened(servers: Servers) -> None:
    connection = postgres.connect(servers.postgres, "test")
    cluster, session = cassandra.connect(servers.cassandra)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, setting FROM pg_settings"
                " WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_level')"
            )
            assert dict(cursor.fetchall()) == {
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "wal_level": "logical",
            }
        setting = session.execute("SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'").one()
        assert setting.value == "batch"
    finally:
        connection.close()
        cluster.shutdown()


def test_a_second_start_leaves_running_servers_alone(platform: Platform, endpoints: Endpoints) -> None:
    before = [status.pid for status in platform.status()]
    assert platform.start() == endpoints
    assert [status.pid for status in platform.status()] == before


Check = Callable[[], None]


def _write_postgres(servers: Servers) -> Check:
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS crash_test; CREATE TABLE crash_test (id int)")
        for number in range(50):
            cursor.execute("INSERT INTO crash_test VALUES (%s)", (number,))

    def check() -> None:
        connection.close()
        later = postgres.connect(servers.postgres, "test", autocommit=True)
        with later.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM crash_test")
            assert cursor.fetchone() == (50,)
            cursor.execute("DROP TABLE crash_test")
        later.close()

    return check


def _write_cassandra(servers: Servers) -> Check:
    """The last acknowledgement is only moments old when the process is killed: `periodic` would lose these rows."""
    cluster, session = cassandra.connect(servers.cassandra)
    session.execute(
        "CREATE KEYSPACE IF NOT EXISTS crash_test"
        " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    session.execute("CREATE TABLE IF NOT EXISTS crash_test.rows (id int PRIMARY KEY)")
    for number in range(50):
        session.execute("INSERT INTO crash_test.rows (id) VALUES (%s)", (number,))

    def check() -> None:
        cluster.shutdown()
        later, session = cassandra.connect(servers.cassandra)
        assert {row.id for row in session.execute("SELECT id FROM crash_test.rows")} == set(range(50))
        session.execute("DROP KEYSPACE crash_test", timeout=60)
        later.shutdown()

    return check


WRITERS = {"postgres": _write_postgres, "cassandra": _write_cassandra}  # every server's death under load: test_run.py


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_server_comes_back_with_everything_it_acknowledged(
    platform: Platform, servers: Servers, name: str
) -> None:
    check = WRITERS[name](servers)
    before = {status.name: status for status in platform.status()}

    platform.kill(name)
    assert [status.name for status in platform.status() if status.state == "dead"] == [name]
    assert platform.supervise() == {name: None}

    after = {status.name: status for status in platform.status()}
    assert after[name].state == "running"
    assert after[name].restarts == before[name].restarts + 1
    assert [after[other].pid for other in SERVERS if other != name] == [
        before[other].pid for other in SERVERS if other != name
    ]
    check()


def test_a_dead_server_is_not_started_on_a_disk_that_is_nearly_full(
    platform: Platform, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = _write_cassandra(servers)
    platform.kill("cassandra")
    with monkeypatch.context() as full:
        full.setattr(machine, "free_disk", lambda _: 2**20)
        # A test that killed it before may have the next try wait for a moment.
        error = wait_for("a try", lambda: platform.supervise().get("cassandra"))
        assert isinstance(error, HaltError)
        assert platform.pids().keys() == {"postgres", "kafka", "connect"}
    wait_for("the next try", lambda: platform.supervise() == {"cassandra": None})
    check()


def test_a_servers_own_disk_that_fills_up_halts(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda folder: 2**20 if folder.name == "kafka" else 2**40)
    with pytest.raises(HaltError, match=r"disk of .*/kafka"):
        platform.check_disk_left()


def test_an_interrupted_first_start_is_repeated(platform: Platform) -> None:
    """PostgreSQL with half a data folder and, as after a crash of the machine, a lock whose pid is another's by now."""
    home = platform.settings.home / "half-way"
    settings = PlatformSettings(home, replace(platform.settings.ports, postgres=platform.settings.ports.postgres + 1))
    account, java = platform.account, find_java()
    assert java is not None
    shutil.rmtree(home, ignore_errors=True)  # an earlier run's: its data folder has an earlier run's passwords
    for folder in (home, settings.data, settings.run, settings.log, settings.lib, settings.temporary):
        account.make_folder(folder)
    install_postgres(settings.lib)
    server = Postgres(settings, account, Credentials(), jars_folder(platform.settings.lib), java)
    account.make_folder(settings.data / "postgres.new")
    account.write(settings.data / "postgres.new" / "PG_VERSION", "18\n")
    process = ServerProcess("postgres", account, settings.run, settings.log)
    try:
        server.prepare()
        account.write(server.data / "postmaster.pid", f"{os.getpid()}\n")
        server.prepare()
        process.start(server.command())
        process.wait_ready(server.ready, 60)
        server.finish()
        server.finish()
    finally:
        process.stop(server.stop_signal, 20)
