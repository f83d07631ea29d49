"""Bad input from the exchange, in tables and in names: it is refused, counted and kept; the rest arrives."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests

from cryptocdc_adapters.cassandra.sessions import apply_schema as apply_cassandra
from cryptocdc_adapters.cassandra.sessions import connect as connect_cassandra
from cryptocdc_adapters.metrics.figures import Samples, scrape
from cryptocdc_adapters.metrics.targets import addresses
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.names import Names, quoted
from cryptocdc_core.planning.plan import plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import RecentTradesRow
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.progress import Silent
from cryptocdc_local.running import run
from cryptocdc_local.running.counting import count_rows
from cryptocdc_local.running.exchange_choice import choose
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.writer import Writer
from tests.integration import topics
from tests.integration.command import cryptocdc
from tests.integration.conftest import feed_document
from tests.integration.waiting import wait_for
from tests.rows import make_row

pytestmark = pytest.mark.platform

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
DELISTED, STAYING = "BNBUSDT", ("BTCUSDT", "ETHUSDT")
STREAMS = ("aggTrade", "kline_1m", "ticker", "miniTicker", "depth@100ms")
FUTURE_MS = 60_000


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    """One run of every stream for all tests of this file."""
    document = feed_document("bad-input", SYMBOLS)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CRYPTOCDC_SIMULATOR_PORT", str(simulator_port))
        chosen = choose(feeds.parse(document), "simulated")
        with run.started(platform, document, chosen, Silent(), lambda s: print(s, file=sys.stderr)) as started:
            wait_for("rows of every stream", lambda: all(s.cassandra for s in started.figures().streams.values()), 120)
            wait_for(
                "frames of every stream", lambda: all(framed(started, table) for table in started.figures().streams)
            )
            yield started


def framed(it: Run, table: str) -> float:
    """Frames that came by WebSocket: its first rows a stream may have from REST, before it is subscribed to."""
    return samples(it).total("cryptocdc_producer_frames_total", table=table, via="websocket")


def samples(it: Run) -> Samples:
    return scrape(addresses(str(it.platform.settings.targets(it.plan.names.fid))))


def rejected(it: Run, reason: str) -> int:
    return int(samples(it).total("cryptocdc_producer_rejected_total", reason=reason))


def rows_in_cassandra(it: Run, table: str) -> int:
    return it.figures().streams[table].cassandra


def fault(it: Run, name: str, **parameters: object) -> dict[str, Any]:
    url = f"{it.applied.rest_url}/simulator/faults/{name}"
    answer = requests.post(url, params={k: str(v) for k, v in parameters.items()}, timeout=15)
    answer.raise_for_status()
    return dict(answer.json())


def malformed(it: Run, kind: str, stream: str) -> int:
    """Frames sent. Waits for a sound one of `stream`, which the simulator needs to make a bad one of."""
    return int(wait_for(f"a frame of {stream}", lambda: fault(it, "malformed", kind=kind, stream=stream)["frames"]))


def ask(servers: Servers, query: str, *values: object) -> list[tuple[Any, ...]]:
    connection = postgres.connect(servers.postgres, "test", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def trade_ids(it: Run, symbol: str) -> list[int]:
    table = f"{it.plan.names.schema}.recent_trades"
    return [row[0] for row in ask(it.servers, f"SELECT trade_id FROM {table} WHERE symbol = %s ORDER BY 1", symbol)]


def assert_no_gap(it: Run) -> None:
    for symbol in SYMBOLS:
        ids = trade_ids(it, symbol)
        assert ids, symbol
        missing = sorted(set(range(ids[0], ids[-1] + 1)) - set(ids))
        assert not missing, f"{symbol}: {len(missing)} trades missing, first {missing[:5]}"


@pytest.mark.parametrize(
    ("kind", "streams"),
    [
        ("invalid-json", STREAMS),
        ("unknown-event", STREAMS),
        ("error-body", STREAMS),
        ("wrong-decimal", STREAMS),
        ("oversize", STREAMS[:2]),
        ("future", STREAMS),
    ],
)
def test_a_bad_frame_is_refused_counted_and_kept(it: Run, kind: str, streams: tuple[str, ...]) -> None:
    counted, kept = rejected(it, kind), len(of_kind(it, kind))
    reconnects = samples(it).total("cryptocdc_producer_reconnects_total")
    ids = trade_ids(it, "BTCUSDT")

    sent = sum(malformed(it, kind, f"btcusdt@{stream}") for stream in streams)

    assert sent == len(streams)
    wait_for(f"{sent} frames refused as {kind}", lambda: rejected(it, kind) == counted + sent)
    wait_for("all of them kept", lambda: len(of_kind(it, kind)) == kept + sent)
    for record in of_kind(it, kind)[-sent:]:
        assert record.headers["cryptocdc.feed"] == it.applied.feed.name
        assert record.headers["cryptocdc.reason"].startswith(f"{kind}: ")
        assert record.value
    wait_for("the next trades of the same symbol", lambda: trade_ids(it, "BTCUSDT")[-1] > ids[-1] + 5)
    assert samples(it).total("cryptocdc_producer_reconnects_total") == reconnects, "the connection was lost"


def of_kind(it: Run, kind: str) -> list[topics.Found]:
    found = topics.read(it.servers.kafka, it.plan.names.rejected_topic)
    return [record for record in found if record.headers["cryptocdc.reason"].startswith(f"{kind}:")]


def test_a_kept_frame_has_its_bytes_and_the_reason(it: Run) -> None:
    """The unchanged bytes, as far as they are kept, and a description of what was wrong."""
    fault(it, "malformed", kind="wrong-decimal", stream="ethusdt@aggTrade")
    fault(it, "malformed", kind="oversize", stream="ethusdt@aggTrade")

    def last(kind: str) -> topics.Found | None:
        return next((r for r in reversed(of_kind(it, kind)) if b'"ETHUSDT"' in (r.value or b"")), None)

    wrong = wait_for("the wrong decimal", lambda: last("wrong-decimal"))
    assert "'1.2.3'" in wrong.headers["cryptocdc.reason"]
    assert json.loads(wrong.value or b"")["data"]["s"] == "ETHUSDT"
    big = wait_for("the oversize frame", lambda: last("oversize"))
    assert int(big.headers["cryptocdc.reason"].split()[1]) > 5_000_000


@pytest.mark.parametrize("kind", ["invalid-json", "oversize", "error-body"])
def test_a_bad_response_over_rest_is_refused_counted_and_kept(it: Run, kind: str) -> None:
    """Of what is asked for while streams flow: trades that fell out of them, and order books. It is asked for again."""
    counted, kept, filled = rejected(it, kind), len(of_kind(it, kind)), it.figures().gap_rows_filled
    fault(it, "malformed", kind=kind, path="aggTrades")
    fault(it, "malformed", kind=kind, path="depth")

    fault(it, "drop-trades", symbol="ETHUSDT", count=5)
    fault(it, "depth-gap", symbol="ETHUSDT")

    wait_for("both refused", lambda: rejected(it, kind) == counted + 2, 90)
    wait_for("both kept", lambda: len(of_kind(it, kind)) == kept + 2)
    assert all(record.key == b"ETHUSDT" and record.value for record in of_kind(it, kind)[-2:])
    wait_for("the trades there all the same", lambda: it.figures().gap_rows_filled >= filled + 5, 90)
    before = books(it, "ETHUSDT")
    wait_for("the book goes on", lambda: books(it, "ETHUSDT") > before + 2)


def books(it: Run, symbol: str) -> int:
    return int(
        ask(it.servers, f"SELECT count(*) FROM {it.plan.names.schema}.order_book WHERE symbol = %s", symbol)[0][0]
    )


def test_an_event_from_the_future_never_reaches_postgres(it: Run) -> None:
    counted = rejected(it, "future")
    for stream in STREAMS:
        fault(it, "malformed", kind="future", stream=f"ethusdt@{stream}")
    wait_for("all refused", lambda: rejected(it, "future") == counted + len(STREAMS))

    latest_ms = int(time.time() * 1000) + FUTURE_MS
    for table in ("recent_trades", "klines", "crypto_24h_stats", "latest_prices", "order_book"):
        event = by_table(table).event
        found = ask(
            it.servers,
            f"SELECT count(*) FROM {it.plan.names.schema}.{table}"
            f" WHERE extract(epoch FROM {event}) * 1000 > %s OR version > %s",
            latest_ms,
            version(latest_ms),
        )
        assert found == [(0,)], table


def test_a_column_added_to_a_captured_table_is_ignored_and_counted(it: Run) -> None:
    def unknown() -> float:
        return samples(it).total("cryptocdc_consumer_unknown_fields_total", table="recent_trades")

    assert unknown() == 0
    ask(it.servers, f"ALTER TABLE {it.plan.names.schema}.recent_trades ADD COLUMN venue text NOT NULL DEFAULT 'spot'")
    before = rows_in_cassandra(it, "recent_trades")

    wait_for("the column noticed", lambda: unknown() > 0, 90)
    wait_for("rows that have it", lambda: rows_in_cassandra(it, "recent_trades") > before + 50, 90)
    assert it.figures().dead_letters == 0


def test_a_symbol_delisted_during_a_run_is_paused_alone_and_reported(
    it: Run, command_environment: dict[str, str]
) -> None:
    pids = it.programs.pids()
    fault(it, "delist", symbol=DELISTED)

    wait_for("the pause noticed", lambda: it.figures().halted, 120)
    answer = cryptocdc(command_environment, "status", "--json")
    assert answer.code == 0, answer
    status = next(feed for feed in answer.json()["feeds"] if feed["identity"] == it.plan.names.fid)
    assert status["halted"] == [DELISTED]
    assert DELISTED in cryptocdc(command_environment, "status").out
    last = {symbol: trade_ids(it, symbol)[-1] for symbol in SYMBOLS}
    wait_for("trades of the others", lambda: all(trade_ids(it, s)[-1] > last[s] + 5 for s in STAYING))
    assert trade_ids(it, DELISTED)[-1] == last[DELISTED]
    assert it.programs.pids() == pids


def test_nothing_is_lost_after_all_bad_input(it: Run) -> None:
    wait_for("no gap open", lambda: it.figures().gaps_open == 0, 120)
    it.stop_capture()
    report = prove(it.applied, it.servers, lambda _: None)

    assert (report["missing"], report["extra"], report["different"]) == (0, 0, 0), report
    assert report["equal"], report
    assert report["quarantined"] == 0
    assert report["rows"] == sum(count_rows(it.servers, it.plan).values())
    assert_no_gap(it)


# Rows that PostgreSQL itself refuses after passing all earlier checks.


def trade(trade_id: int, price: str = "1.50", symbol: str = "BTCUSDT") -> RecentTradesRow:
    at = 1_700_000_000_000 + trade_id
    return make_row(
        RecentTradesRow, symbol=symbol, trade_time=at, trade_id=trade_id, price=price, received_at=at,
        version=version(at),
    )  # fmt: skip


@pytest.mark.parametrize("count", [10, 500], ids=["by insert", "by copy"])
def test_a_row_refused_by_postgres_is_rejected_alone(servers: Servers, count: int) -> None:
    """Also in a table with a column of its own, as an ALTER TABLE leaves it."""
    feed = feeds.parse(feed_document(f"bad-rows-{count}", ["BTCUSDT"], {"recentTrades": {"source": "websocket"}}))
    planned = plan(ResolvedFeed(feed, "simulated", ("BTCUSDT",)), servers.facts)
    postgres.apply_schema(servers.postgres, planned.postgres)
    table = f"{planned.names.schema}.recent_trades"
    ask(servers, f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS venue text NOT NULL DEFAULT 'spot'")
    refused: list[tuple[Any, str]] = []
    metrics = ProducerMetrics("")
    intake = Intake(metrics)
    rows = [trade(i) for i in range(count)]
    garbage = [
        trade(count, price="1.2.3"),
        trade(count + 1, price="9e999999"),
        trade(2**63),
        trade(count + 2, symbol="BTC\x00USDT"),
        trade(count + 3, symbol="BTC\tUSDT"),
        trade(count + 4, symbol="\ud800"),
    ]
    for at, row in enumerate(garbage):
        rows.insert(at * count // len(garbage), row)

    writer = Writer(
        planned.names, planned.streams, intake, partial(postgres.connect, servers.postgres, "test"), metrics,
        lambda row, problem: refused.append((row, problem)),
    )  # fmt: skip
    intake.put_rows(rows)
    intake.close()
    writer.start()
    assert writer.finish(60)

    assert sorted(row.trade_id for row, _ in refused) == sorted(row.trade_id for row in garbage)
    assert all(problem for _, problem in refused)
    found = ask(servers, f"SELECT trade_id, price::text, venue FROM {table} ORDER BY trade_id")
    assert found == [(i, "1.50", "spot") for i in range(count)]


# Injected names. The model refuses them (test_command); the layers behind it quote them.


@pytest.mark.parametrize("fid", ["x'; DROP SCHEMA victim; --", 'x"; DROP SCHEMA victim; --', "x$$; DROP SCHEMA victim"])
def test_postgres_and_kafka_treat_an_injected_name_as_a_name(servers: Servers, fid: str) -> None:
    names = Names(fid)
    stream = by_table("recent_trades")
    ask(servers, "CREATE SCHEMA IF NOT EXISTS victim")
    try:
        postgres.apply_schema(servers.postgres, ddl.postgres_schema(names, [stream], servers.replication.user))
        postgres.apply_schema(servers.postgres, [ddl.postgres_partition(names, stream, 0)])

        schemas = {row[0] for row in ask(servers, "SELECT nspname FROM pg_namespace")}
        assert {fid, "victim"} <= schemas
        assert ask(servers, "SELECT 1 FROM pg_publication WHERE pubname = %s", names.publication) == [(1,)]
    finally:
        ask(servers, f"DROP PUBLICATION IF EXISTS {quoted(names.publication)}")
        ask(servers, f"DROP SCHEMA IF EXISTS {quoted(fid)} CASCADE")
        ask(servers, "DROP SCHEMA victim")


@pytest.mark.parametrize("fid", ["x'; DROP KEYSPACE victim; --", 'x"; DROP KEYSPACE victim; --'])
def test_cassandra_refuses_an_injected_name_as_a_name(servers: Servers, fid: str) -> None:
    from cassandra import InvalidRequest

    simple = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    apply_cassandra(servers.cassandra, [f"CREATE KEYSPACE IF NOT EXISTS victim WITH replication = {simple}"])
    cluster, session = connect_cassandra(servers.cassandra)
    try:
        with pytest.raises(InvalidRequest, match=r"[Kk]eyspace name"):
            apply_cassandra(
                servers.cassandra, ddl.cassandra_schema(Names(fid), [by_table("recent_trades")], None, simple)
            )
        assert session.execute("SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'victim'").one()
    finally:
        session.execute("DROP KEYSPACE victim")
        cluster.shutdown()
