"""The command `cryptocdc` as its user sees it: a run and what it leaves, plan, apply, verify, backfill, delete."""

from __future__ import annotations

import copy
import json
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.cassandra.sessions import connect as connect_cassandra
from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.machine import port_is_free
from cryptocdc_local.running.exchange_choice import Simulator
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import Document, Starter, feed_document
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

STREAMS: Document = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "klines": {"source": "websocket", "intervals": ["1m"]},
}
FEED = feed_document("command", ["BTCUSDT", "ETHUSDT"], STREAMS)
FID = "command_sim"

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Document | str], Path]:
    """Write a feed's document, or any text, to a file of its own."""
    folder = tmp_path_factory.mktemp("feeds")

    def written(document: Document | str) -> Path:
        file = folder / f"{len(list(folder.iterdir()))}.yaml"
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        file.write_text(text, encoding="utf-8")
        return file

    return written


@pytest.fixture(scope="module")
def feed_file(write: Callable[[Document | str], Path]) -> Path:
    return write(FEED)


@pytest.fixture(scope="module")
def command(command_environment: dict[str, str]) -> Command:
    return lambda *arguments, **more: cryptocdc({**command_environment, **more}, *arguments)


@pytest.fixture(scope="module")
def ran(command: Command, feed_file: Path) -> Answer:
    """`run --for`: everything after it finds its rows."""
    return command("run", "-f", feed_file, "--for", "10", "--json")


@pytest.fixture
def simulator(ran: Answer, platform: Platform, simulator_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The exchange, for the commands that ask it; a run starts and stops its own."""
    monkeypatch.setenv("CRYPTOCDC_SIMULATOR_PORT", str(simulator_port))
    process = Simulator(platform.settings, FID)
    process.start(None)
    yield
    process.stop()


def changed(**spec: Any) -> Document:
    """The feed with other fields in its spec."""
    document = copy.deepcopy(FEED)
    document["spec"].update(spec)
    return document


def schemas(servers: Servers) -> set[str]:
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'")
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def ask(servers: Servers, query: str) -> list[Any]:
    cluster, session = connect_cassandra(servers.cassandra)
    try:
        return list(session.execute(query))
    finally:
        cluster.shutdown()


def keyspaces(servers: Servers) -> set[str]:
    return {row[0] for row in ask(servers, "SELECT keyspace_name FROM system_schema.keyspaces")}


def topics(servers: Servers) -> set[str]:
    return set(AdminClient(client_config(servers.kafka)).list_topics(timeout=30).topics)


# A run and what it leaves


def test_a_run_ends_with_one_line_of_json_and_exits_0_when_all_is_proven(ran: Answer) -> None:
    assert ran.code == 0, ran
    result = ran.json()
    assert (result["feed"], result["source"], result["identity"]) == ("command", "simulated", FID)
    assert set(result["captured"]) == {"recent_trades", "klines"}
    assert min(result["captured"].values()) > 0
    assert result["gaps_open"] == 0
    assert result["verify"]["equal"] is True
    assert result["verify"]["rows"] == sum(result["captured"].values())
    assert [result["verify"][kind] for kind in ("missing", "extra", "different", "quarantined")] == [0, 0, 0, 0]


def test_status_shows_servers_and_feeds(ran: Answer, command: Command) -> None:
    answer = command("status", "--json")
    assert answer.code == 0, answer
    status = answer.json()
    assert {s["name"]: s["state"] for s in status["servers"]} == dict.fromkeys(
        ("postgres", "kafka", "connect", "cassandra"), "running"
    )
    (feed,) = [feed for feed in status["feeds"] if feed["identity"] == FID]
    assert feed["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert feed["halted"] == []
    assert feed["programs"] == 0
    assert feed["streams"]["recent_trades"]["kafka"] > 0

    shown = command("status").out
    assert "SIMULATED DATA" in shown
    assert "none of its programs runs" in shown


def test_an_unresponsive_kafka_does_not_block_the_status(ran: Answer, command_environment: dict[str, str]) -> None:
    elsewhere = {**command_environment, "CRYPTOCDC_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    answer = cryptocdc(elsewhere, "status", "--json", limit_s=60)
    assert answer.code == 0, answer
    here = [feed for feed in answer.json()["feeds"] if feed["identity"] == FID]
    assert [feed["streams"]["klines"]["kafka"] for feed in here] == [0]


def test_verify_exits_0_when_equal_and_1_naming_the_row_that_was_altered(
    ran: Answer, command: Command, feed_file: Path, servers: Servers
) -> None:
    equal = command("verify", "-f", feed_file, "--json")
    assert equal.code == 0, equal
    assert equal.json()["equal"] is True

    row = ask(servers, f"SELECT symbol, hour, trade_time, trade_id, price FROM {FID}.recent_trades LIMIT 1")[0]
    where = f"symbol = '{row.symbol}' AND hour = {ms(row.hour)} AND trade_time = {ms(row.trade_time)}"
    update = f"UPDATE {FID}.recent_trades SET price = {{}} WHERE {where} AND trade_id = {row.trade_id}"
    ask(servers, update.format("0.01"))
    try:
        unequal = command("verify", "-f", feed_file, "--json", "--explain")
        assert unequal.code == 1, unequal
        report = unequal.json()
        assert (report["equal"], report["different"], report["missing"], report["extra"]) == (False, 1, 0, 0)
        (key,) = report["keys"]
        assert (key["table"], key["key"]["trade_id"], key["columns"]) == ("recent_trades", str(row.trade_id), ["price"])
        assert (key["postgres"]["price"], key["cassandra"]["price"]) == (str(row.price), "0.01")
        assert "by hand" in key["cause"]
        shown = command("verify", "-f", feed_file, "--explain")
        assert shown.code == 1
        assert str(row.trade_id) in shown.out
        assert "by hand" in shown.out
    finally:
        ask(servers, update.format(row.price))


def ms(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp() * 1000)


def test_a_window_without_rows_proves_nothing(ran: Answer, command: Command, feed_file: Path) -> None:
    answer = command("verify", "-f", feed_file, "--json", "--to", "2020-01-01")
    assert answer.code == 1, answer
    assert "nothing was compared" in answer.json()["reason"]


def test_no_dead_letter_is_pending_after_a_successful_run(ran: Answer, command: Command, feed_file: Path) -> None:
    listed = command("dlq", "list", "-f", feed_file, "--json")
    assert (listed.code, listed.json()["pending"]) == (0, 0)
    assert "no dead letter" in command("dlq", "list", "-f", feed_file).out
    assert command("dlq", "replay", "-f", feed_file, "--json").json()["replayed"] == 0


def test_doctor_finds_no_problems(ran: Answer, command: Command) -> None:
    answer = command("doctor")
    assert answer.code == 0, answer
    for check in ("java", "jars", "ports", "disk", "memory", "exchange", "clock"):
        assert any(check in line for line in answer.out.splitlines()), check
    assert "used by our own servers" in answer.out


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("CRYPTOCDC_POSTGRES_PORT", "1", "PostgreSQL"),
        ("CRYPTOCDC_CASSANDRA_PORT", "1", "Cassandra"),
        ("CRYPTOCDC_CASSANDRA_PASSWORD", "wrong", "Cassandra"),
    ],
)
def test_verify_exits_3_and_names_the_unreachable_server(
    ran: Answer, command: Command, feed_file: Path, setting: str, value: str, named: str
) -> None:
    answer = command("verify", "-f", feed_file, **{setting: value})
    assert answer.code == 3, answer
    assert named in answer.err
    assert "Traceback" not in answer.err


def test_a_feed_that_is_being_run_is_neither_run_twice_nor_deleted(
    command: Command, write: Callable[[Document], Path], start: Starter
) -> None:
    document = feed_document("busy", ["BTCUSDT"], {"latestPrices": {}})
    file = write(document)
    with start(document) as it:
        pids = it.programs.pids()
        for arguments in (["run", "--for", "5"], ["delete"]):
            answer = command(*arguments, "-f", file)
            assert answer.code == 3, answer
            assert f"busy_sim is being run by another `cryptocdc` (pid {os.getpid()})" in answer.err
            assert "Ctrl-C" in answer.err
        assert it.programs.pids() == pids
        assert it.simulator is not None
        assert it.simulator.alive()


@pytest.mark.parametrize("end", ["the terminal closes", "an impatient Ctrl-C"])
def test_a_terminated_run_leaves_no_programs_running(
    command_environment: dict[str, str], write: Callable[[Document], Path], platform: Platform, end: str
) -> None:
    file = write(feed_document("ended", ["BTCUSDT"], {"latestPrices": {}}))
    program = Path(sys.executable).with_name("cryptocdc")
    pid, terminal = pty.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # a test run in the background may ignore them
        os.execve(program, [str(program), "run", "-f", str(file)], command_environment)
    wait_for("its first row", lambda: b"first row" in os.read(terminal, 65536), 120)
    assert list(platform.settings.run.glob("ended_sim-*.pid"))
    if end == "the terminal closes":
        os.close(terminal)
    else:
        os.write(terminal, b"\x03")
        wait_for("the first program stopped", lambda: not list(platform.settings.run.glob("ended_sim-api-*.pid")))
        os.write(terminal, b"\x03\x03")

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert not list(platform.settings.run.glob("ended_sim-*.pid"))


# Plan, apply


def test_plan_shows_everything_and_creates_nothing(
    command: Command, write: Callable[[Document], Path], servers: Servers, simulator_port: int
) -> None:
    """Also where no simulator runs that could be asked."""
    before = schemas(servers), keyspaces(servers), topics(servers)
    answer = command("plan", "-f", write(feed_document("planned", ["BTCUSDT"], STREAMS)))

    assert answer.code == 0, answer
    plan = json.loads(answer.out)
    assert plan["identity"] == "planned_sim"
    assert list(plan["symbols"]) == ["BTCUSDT"]
    assert plan["topics"]["planned_sim.planned_sim.klines"]["partitions"] == 6
    assert plan["connector"]["slot.name"] == "planned_sim_slot"
    assert any("CREATE TABLE" in statement for statement in plan["cassandra"])
    running = {"producer": 1, "consumer": 1, "verifier": 1, "api": 1}
    assert plan["programs"] == {**running, "spark": 0, "alerter": 0, "analyzer": 0, "exporter": 0, "history": 0}
    for password in ("CRYPTOCDC_POSTGRES_PASSWORD", "CRYPTOCDC_REPLICATION_PASSWORD"):
        assert servers_password(password, command) not in answer.out
    assert (schemas(servers), keyspaces(servers), topics(servers)) == before
    assert port_is_free(simulator_port)


def servers_password(name: str, command: Command) -> str:
    return str(command.__closure__[0].cell_contents[name])  # type: ignore[index]


def test_apply_applies_mutable_changes_and_reports_them(
    simulator: None, command: Command, write: Callable[[Document], Path], feed_file: Path
) -> None:
    more = command("apply", "-f", write(changed(symbols={"names": ["BTCUSDT", "BNBUSDT"]})))
    assert more.code == 0, more
    assert "added BNBUSDT; removed ETHUSDT" in more.err
    again = command("apply", "-f", feed_file)
    assert "added ETHUSDT; removed BNBUSDT" in again.err
    assert "added none; removed none" in command("apply", "-f", feed_file).err


@pytest.mark.parametrize("subcommand", [["apply"], ["run", "--for", "5"]], ids=["apply", "run"])
def test_a_change_of_what_stored_rows_mean_is_refused(
    ran: Answer, request: pytest.FixtureRequest, command: Command, write: Callable[[Document], Path],
    subcommand: list[str],
) -> None:  # fmt: skip
    if subcommand == ["apply"]:
        request.getfixturevalue("simulator")
    streams = {**STREAMS, "recentTrades": {"source": "websocket", "kind": "trade"}}
    answer = command(*subcommand, "-f", write(changed(streams=streams, scaling={"partitions": 7})))

    assert answer.code == 2, answer
    assert "spec.scaling.partitions: 7 is not accepted; accepted: 6" in answer.err
    assert "spec.streams.recentTrades.kind: 'trade' is not accepted; accepted: 'aggregate'" in answer.err


def test_an_unlisted_symbol_is_waited_for_with_similar_names_suggested(
    simulator: None, command: Command, write: Callable[[Document], Path]
) -> None:
    file = write(feed_document("unlisted", ["BTCUSDT", "ETHUSDD", "ZZZZZZ"], STREAMS))
    planned = command("plan", "-f", file)
    assert planned.code == 0, planned
    assert json.loads(planned.out)["waiting"] == ["ETHUSDD", "ZZZZZZ"]
    answer = command("apply", "-f", file)
    assert answer.code == 0, answer
    for said in (planned.err, answer.err):
        words = " ".join(said.split())
        assert "ETHUSDD is not listed by simulated: waiting for its first trade; did you mean ETH" in words
        assert "ZZZZZZ is not listed by simulated: waiting for its first trade" in words
    assert command("delete", "-f", file).code == 0


def test_a_reserved_word_as_feed_name_works_through_the_whole_pipeline(
    simulator: None, command: Command, write: Callable[[Document], Path], simulator_port: int, servers: Servers
) -> None:
    """Without a suffix, as a feed of a real exchange: its endpoints say where that is."""
    here = {"rest": f"http://127.0.0.1:{simulator_port}", "websocket": f"ws://127.0.0.1:{simulator_port}"}
    document = feed_document(
        "select", ["BTCUSDT"], {"latestPrices": {}}, exchange="binance", endpoints=here, deletionPolicy="Delete"
    )
    file = write(document)

    ran = command("run", "-f", file, "--for", "5", "--json")
    assert ran.code == 0, ran
    assert (ran.json()["source"], ran.json()["identity"]) == ("exchange", "select")
    deleted = command("delete", "-f", file)
    assert deleted.code == 0, deleted
    assert "select" not in schemas(servers) | keyspaces(servers)


def test_commands_detect_that_a_run_fell_back_to_the_simulator(
    command: Command, write: Callable[[Document], Path]
) -> None:
    nowhere = {"rest": "http://127.0.0.1:1", "websocket": "ws://127.0.0.1:1"}
    document = feed_document(
        "fallback", ["BTCUSDT"], {"latestPrices": {}}, exchange="binance", endpoints=nowhere, deletionPolicy="Delete"
    )
    file = write(document)
    ran = command("run", "-f", file, "--for", "3", "--json")
    assert ran.code == 0, ran
    assert ran.json()["source"] == "simulated"
    assert "binance does not answer at http://127.0.0.1:1: using the simulator" in " ".join(ran.err.split())

    verified = command("verify", "-f", file, "--json")
    assert (verified.code, verified.json()["source"]) == (0, "simulated")
    listed = command("dlq", "list", "-f", file, "--json")
    assert (listed.code, listed.json()["feed"]) == (0, "fallback_sim")
    assert command("delete", "-f", file).code == 0


# Backfill, delete; these change what the tests above look at


def test_backfill_fetches_a_past_range_and_refuses_an_unknown_symbol(
    simulator: None, command: Command, feed_file: Path, servers: Servers
) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    stretch = ["--from", (end - timedelta(minutes=5)).isoformat(), "--to", end.isoformat()]
    answer = command("backfill", "-f", feed_file, "--symbol", "BTCUSDT", *stretch)
    assert answer.code == 0, answer
    assert "BTCUSDT from" in answer.out
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), bool_and(closed) FROM {FID}.klines WHERE open_time >= %s AND open_time < %s",
            ((end - timedelta(minutes=5)).replace(tzinfo=None), end.replace(tzinfo=None)),
        )
        assert cursor.fetchone() == (5, True)
        cursor.execute(
            f"SELECT max(trade_id) - min(trade_id) + 1 - count(*) FROM {FID}.recent_trades WHERE trade_time < %s",
            (end.replace(tzinfo=None),),
        )
        assert cursor.fetchone() == (0,)
    connection.close()

    unknown = command("backfill", "-f", feed_file, "--symbol", "NOSUCH", *stretch)
    assert unknown.code == 2, unknown
    assert "NOSUCH" in unknown.err


@pytest.mark.soak  # more than a minute
def test_delete_keeps_the_data_by_default_and_a_later_run_continues(
    ran: Answer, command: Command, write: Callable[[Document], Path], feed_file: Path, servers: Servers
) -> None:
    """Retain, a run again over what was kept (backfilled rows included), then Delete, and a run from nothing."""
    kept = command("delete", "-f", feed_file)
    assert kept.code == 0, kept
    assert "its data stays" in kept.err
    assert slots.read(servers.postgres, f"{FID}_slot") is None
    assert Connect(servers.connect.url).state(FID) is None
    assert FID in schemas(servers) & keyspaces(servers)
    assert f"{FID}.dlq" in topics(servers)
    assert FID not in {feed["identity"] for feed in command("status", "--json").json()["feeds"]}
    twice = command("delete", "-f", feed_file)
    assert twice.code == 3, twice
    assert "not applied" in twice.err

    again = command("run", "-f", feed_file, "--for", "5", "--json")
    assert again.code == 0, again
    assert again.json()["verify"]["rows"] > sum(again.json()["captured"].values())

    gone = command("delete", "-f", write(changed(deletionPolicy="Delete")))
    assert gone.code == 0, gone
    assert slots.read(servers.postgres, f"{FID}_slot") is None
    assert FID not in schemas(servers) | keyspaces(servers)
    assert not {topic for topic in topics(servers) if FID in topic}

    recreated = command("run", "-f", feed_file, "--for", "5", "--json")
    assert recreated.code == 0, recreated
    assert recreated.json()["verify"]["rows"] == sum(recreated.json()["captured"].values())
