"""A feed with several connectors: each carries its share, and their number changes under load without a loss."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication import slots
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.storage.shards import Shard, shards
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import SERVERS
from cryptocdc_local.running.run import Run
from tests.integration import topics
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import Document, Starter, feed_document
from tests.integration.runs import assert_equal, assert_no_gap, finish, rows_in_cassandra, rows_of
from tests.integration.test_operator_servers import kept_log
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

Change = Callable[[str, int], Answer]
Fault = Callable[[Run, Change], int]
"""Does something to a feed with two connectors, and returns how many it is to have at the end."""

SYMBOLS = 6
STREAMS: Document = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "latestPrices": {"source": "websocket"},
    "orderBook": {"source": "websocket", "depth": 20, "interval": "1s"},
}


def feed(name: str, connectors: int) -> Document:
    scaling = {"partitions": 6, "producers": 1, "consumers": 1, "connectors": connectors}
    return feed_document(name, SYMBOLS, STREAMS, scaling=scaling)


@pytest.fixture
def change(command_environment: dict[str, str], tmp_path: Path) -> Change:
    """Apply a feed with another number of connectors, by the command, while its run goes on."""

    def changed(name: str, connectors: int) -> Answer:
        file = tmp_path / "feed.yaml"
        file.write_text(yaml.safe_dump(feed(name, connectors)), encoding="utf-8")
        return cryptocdc(command_environment, "apply", "-f", file)

    return changed


def connect(it: Run) -> Connect:
    return Connect(it.servers.connect.url)


def parts(it: Run, connectors: int) -> tuple[Shard, ...]:
    return shards(it.plan.names, connectors)


def assert_only(it: Run, connectors: int) -> None:
    """The feed has the slots, publications and connectors of this number, and no others."""
    wanted, fid = parts(it, connectors), it.plan.names.fid
    assert {name for name in connect(it).names() if name.startswith(it.plan.names.connector)} == {
        shard.connector for shard in wanted
    }
    made = rows_of(it, "SELECT slot_name, failover FROM pg_replication_slots WHERE slot_name ~ %s", f"^{fid}_slot")
    assert set(made) == {(shard.slot, True) for shard in wanted}
    published = rows_of(it, "SELECT pubname FROM pg_publication WHERE pubname ~ %s", f"^{fid}_pub")
    assert {name for (name,) in published} == {shard.publication for shard in wanted}


def symbols_of(it: Run, shard: Shard) -> set[str]:
    rows = (shard.rows or "true").replace("%", "%%")
    found = rows_of(it, f"SELECT symbol FROM unnest(%s) AS symbol WHERE {rows}", list(it.applied.symbols))
    return {symbol for (symbol,) in found}


def sent(it: Run, op: str = "c") -> dict[str, int]:
    """The number of prices in Kafka by symbol."""
    found = dict.fromkeys(it.applied.symbols, 0)
    for record in topics.read(it.servers.kafka, it.plan.names.change_topic("latest_prices")):
        change = json.loads(record.value or b"{}")
        if change["__op"] == op:
            found[change["symbol"]] += 1
    return found


def all_grow(it: Run, symbols: set[str]) -> None:
    before = sent(it)

    def grown() -> bool:
        now = sent(it)
        return all(now[symbol] > before[symbol] for symbol in symbols)

    wait_for(f"prices of {sorted(symbols)} in Kafka", grown, 180)


def stop(it: Run, shard: Shard) -> None:
    connect(it).stop(shard.connector)
    connect(it).wait_stopped(shard.connector)


@contextlib.contextmanager
def few_slots_left(servers: Servers, left: int) -> Iterator[None]:
    """All but `left` of PostgreSQL's replication slots are taken inside the block."""
    login = {"user": servers.replication.user, "password": servers.replication.password}
    connection = postgres.connect(servers.postgres.model_copy(update=login), "test", autocommit=True)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_replication_slots')::integer - (SELECT count(*) FROM pg_replication_slots)"
        )
        ((free,),) = cursor.fetchall()
        for number in range(free - left):
            cursor.execute("SELECT pg_create_physical_replication_slot(%s)", (f"taken_{number}",))
        try:
            yield
        finally:
            cursor.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name ~ '^taken_'"
            )


def test_each_connector_carries_its_share_and_their_number_changes_under_load(
    start: Starter, change: Change, servers: Servers
) -> None:
    with start(feed("shards", 1)) as it:
        wait_for("rows in Cassandra", lambda: rows_in_cassandra(it, "recent_trades") > 100)
        with few_slots_left(servers, 2):
            refused = change("shards", 4)
        assert refused.code == 2
        assert "spec.scaling.connectors: 4 is not accepted: PostgreSQL lacks 2 replication slots" in refused.err
        assert_only(it, 1)

        at_first = sent(it, "r")
        assert (answer := change("shards", 2)).code == 0, answer.err
        assert_only(it, 2)
        wait_for("the run to take it over", lambda: len(it.plan.connectors) == 2, 10)
        first, second = parts(it, 2)
        assert symbols_of(it, first) | symbols_of(it, second) == set(it.applied.symbols)
        assert symbols_of(it, first)
        assert symbols_of(it, second)
        all_grow(it, set(it.applied.symbols))
        assert sent(it, "r") == at_first, "a change of the number took a snapshot"

        stop(it, second)
        before = sent(it)
        all_grow(it, symbols_of(it, first))
        assert all(sent(it)[symbol] == before[symbol] for symbol in symbols_of(it, second))
        slots.drop(it.servers.postgres, it.servers.replication, second.slot)
        wait_for("a snapshot", lambda: f"connector 2of2: slot {second.slot} was lost" in it.event, 60)
        all_grow(it, symbols_of(it, second))
        snapshot = sent(it, "r")
        assert {symbol for symbol, rows in snapshot.items() if rows > at_first[symbol]} == symbols_of(it, second)

        result = finish(it)
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)


# The matrix of kills: each under load, with two connectors, and proven equal at its end.


def killed(server: str) -> Fault:
    def kill(it: Run, _: Change) -> int:
        it.platform.kill(server)  # the run starts it again
        return 2

    return kill


def all_servers_killed(it: Run, _: Change) -> int:
    for server in SERVERS:
        it.platform.kill(server)
    return 2


def program_killed(kind: str) -> Fault:
    def kill(it: Run, _: Change) -> int:
        it.programs.kill(it.programs.names(kind)[0])  # the run starts it again
        return 2

    return kill


def verifier_killed(it: Run, change: Change) -> int:
    def proven_through() -> float:
        return it.figures().streams["latest_prices"].proven_through or 0.0

    before = wait_for("a proof", proven_through, 180)
    connectors = program_killed("verifier")(it, change)
    wait_for("a later proof", lambda: proven_through() > before, 180)
    return connectors


def connector_paused(it: Run, _: Change) -> int:
    second = parts(it, 2)[1]
    requests.put(f"{it.servers.connect.url}/connectors/{second.connector}/pause", timeout=10).raise_for_status()
    wait_for("it is reported", lambda: "connector 2of2 is PAUSED" in it.event, 60)
    behind = rows_in_cassandra(it, "latest_prices")
    wait_for("the other goes on", lambda: rows_in_cassandra(it, "latest_prices") > behind + 20, 60)
    connect(it).resume(second.connector)
    return 2


def reading_ended(it: Run, _: Change) -> int:
    """PostgreSQL ends the connection by which a connector reads its slot."""
    second = parts(it, 2)[1]
    with kept_log(it.platform, it.servers, "4GB") as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (second.slot,)
        )
        assert superuser.fetchall() == [(True,)]
    return 2


def slot_dropped(it: Run, _: Change) -> int:
    second = parts(it, 2)[1]
    stop(it, second)
    slots.drop(it.servers.postgres, it.servers.replication, second.slot)
    wait_for("a snapshot", lambda: f"slot {second.slot} was lost" in it.event, 60)
    return 2


def slot_invalidated(it: Run, _: Change) -> int:
    second = parts(it, 2)[1]
    stop(it, second)
    with kept_log(it.platform, it.servers, "1MB") as superuser:

        def lost() -> bool:
            superuser.execute("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()")
            superuser.execute("CHECKPOINT")
            slot = slots.read(it.servers.postgres, second.slot)
            return (slot is not None and not slot.usable) or f"slot {second.slot} was lost" in it.event

        wait_for("its slot to be invalidated", lost, 60)
    wait_for("a snapshot", lambda: f"slot {second.slot} was lost" in it.event, 60)
    return 2


def changed_while_killed(connectors: int, server: str) -> Fault:
    """The number changes, and a server is killed as soon as the first of the new slots exists."""

    def change_and_kill(it: Run, change: Change) -> int:
        new = parts(it, connectors)[0]
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(change, it.applied.feed.name, connectors)
            wait_for("a new slot", lambda: slots.read(it.servers.postgres, new.slot), 60)
            it.platform.kill(server)
            changing.result()
        wait_for("all servers", it.platform.is_running, 120)

        def applied() -> bool:
            """A change that failed because of the kill is applied again, as its user would."""
            return change(it.applied.feed.name, connectors).code == 0

        wait_for("the change", applied, 180)
        return connectors

    return change_and_kill


def changed_to_three_and_one(it: Run, change: Change) -> int:
    for connectors in (3, 1):
        assert (answer := change(it.applied.feed.name, connectors)).code == 0, answer.err
        assert_only(it, connectors)
        all_grow(it, set(it.applied.symbols))
    return 1


MATRIX: dict[str, tuple[str, Fault]] = {
    "connect-killed": ("Kafka Connect is killed", killed("connect")),
    "postgres-killed": ("PostgreSQL is killed", killed("postgres")),
    "kafka-killed": ("the broker is killed", killed("kafka")),
    "cassandra-killed": ("Cassandra is killed", killed("cassandra")),
    "all-servers-killed": ("all servers are killed at once", all_servers_killed),
    "producer-killed": ("the producer is killed", program_killed("producer")),
    "consumer-killed": ("the consumer is killed", program_killed("consumer")),
    "verifier-killed": ("the verifier is killed, and proves on", verifier_killed),
    "one-paused": ("one connector is paused and resumed", connector_paused),
    "one-disconnected": ("PostgreSQL ends the connection of one connector", reading_ended),
    "slot-dropped": ("the slot of one connector is dropped", slot_dropped),
    "slot-invalidated": ("the slot of one connector is invalidated by PostgreSQL", slot_invalidated),
    "changed-to-3-and-1": ("3 connectors, then 1", changed_to_three_and_one),
    "changed-to-3-connect-killed": (
        "3 connectors; Kafka Connect is killed during the change", changed_while_killed(3, "connect"),
    ),
    "changed-to-1-postgres-killed": (
        "1 connector; PostgreSQL is killed during the change", changed_while_killed(1, "postgres"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    """The lines of the table in docs/faults.md for the cells that ran; printed at the end."""
    found: list[str] = []
    yield found
    if found:
        head = "| fault | what happens | rows | missing, extra, different | every symbol again after |"
        print("", head, "|---|---|---|---|---|", *found, sep="\n", file=sys.stderr)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", MATRIX)
def test_two_connectors_lose_nothing(start: Starter, change: Change, lines: list[str], fault: str) -> None:
    sentence, inject = MATRIX[fault]
    with start(feed(f"two-{fault}"[:30].rstrip("-"), 2)) as it:
        wait_for("rows in Cassandra", lambda: rows_in_cassandra(it, "recent_trades") > 100)
        connectors = inject(it, change)
        wait_for("all servers", it.platform.is_running, 300)
        began = time.monotonic()
        all_grow(it, set(it.applied.symbols))
        recovered_s = time.monotonic() - began
        assert_only(it, connectors)
        result = finish(it)
        wrong = ", ".join(str(result[kind]) for kind in ("missing", "extra", "different"))
        lines.append(f"| `{fault}` | {sentence} | {result['rows']:,} | {wrong} | {recovered_s:.0f} s |")
        assert_no_gap(it, it.applied.symbols)

    assert_equal(result)
