"""Past days from an archive into Cassandra, and the days after them over REST into PostgreSQL, between real servers:
loaded, killed, loaded on, and proven."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres.connections import connect
from cryptocdc_adapters.postgres.history_files import archived_days, counts
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.program.exits import Exit
from cryptocdc_core.storage.ddl import partition_name
from cryptocdc_core.time import times
from cryptocdc_exchanges.port import Series
from cryptocdc_local.applier import Servers
from cryptocdc_verifier.verify import verify
from tests.archive_files import DAY, ArchiveServer, file_of, serving, spot_klines, spot_trades
from tests.integration import simulator
from tests.integration.api_client import free_port
from tests.integration.command import Answer, cryptocdc
from tests.integration.feed_by_hand import Feed
from tests.integration.rows import insert
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

TRADES, MINUTES = Series("recent_trades", "BTCUSDT", "aggregate"), Series("klines", "BTCUSDT", "1m")


class House:
    """A feed with a consumer, the archive that its `endpoints.archive` names, and a simulator for REST."""

    def __init__(self, feed: Feed, archive: ArchiveServer, port: int, folder: Path) -> None:
        self.feed, self.archive, self.port, self.folder = feed, archive, port, folder
        self.today = time.time_ns() // 1_000_000 // DAY * DAY
        self.first = self.today - 10 * DAY
        """The start of the first day that a test publishes."""
        self.cluster, self.session = cassandra.connect(feed.servers.cassandra)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.feed.environment, "CRYPTOCDC_HOME": str(self.folder / "home")}

    def day_of(self, series: Series, day: int) -> str:
        """The path of a day's file."""
        return file_of(series, self.first + day * DAY).path

    def publish(self, days: range, trades: int = 500) -> None:
        for day in days:
            start = self.first + day * DAY
            self.archive.put(self.day_of(TRADES, day), spot_trades(start, 1000 + trades * day, trades, 1000))
            self.archive.put(self.day_of(MINUTES, day), spot_klines(start, 1440))

    @property
    def recent(self) -> int:
        """The start of the first day that PostgreSQL keeps."""
        return (time.time_ns() // 1_000_000 - 2 * DAY) // DAY * DAY

    def load(self, *options: object, first: int = 0, days: int | None = 3) -> Answer:
        """`days`: None for until now."""
        span: tuple[object, ...] = ("--from", self.first + first * DAY)
        if days is not None:
            span = (*span, "--to", self.first + (first + days) * DAY)
        return cryptocdc(self.environment, "history", "load", "-f", self.feed.file, *span, "--json", *options)

    def listed(self) -> dict[str, dict[str, Any]]:
        found = cryptocdc(self.environment, "history", "list", "-f", self.feed.file, "--json").json()["files"]
        return {it["path"]: it for it in found}

    def rows(self, table: str, columns: str = "*") -> list[Any]:
        return list(self.session.execute(f'SELECT {columns} FROM "{self.feed.plan.names.keyspace}".{table}'))

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture(scope="module")
def feed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Feed, ArchiveServer, int]]:
    # So few trades that days of them are some pages.
    with serving() as archive, simulator.running("--rate", "0.02") as port:
        made = Feed(
            servers, tmp_path_factory.mktemp("history"), "past",
            endpoints={"archive": archive.url, "rest": f"http://127.0.0.1:{port}"},
            retention={"postgres": "2d", "cassandra": "30d"},
            streams={"recentTrades": {"kind": "aggregate"}, "klines": {"intervals": ["1m"]}},
        )  # fmt: skip
        made.start()
        try:
            yield made, archive, port
        finally:
            made.stop()


@pytest.fixture
def house(feed: tuple[Feed, ArchiveServer, int], tmp_path: Path) -> Iterator[House]:
    """Nothing is loaded, and the archive is empty."""
    made = House(*feed, tmp_path)
    made.archive.files.clear()
    made.archive.asked.clear()
    verify(made.feed.target, made.today + 365 * DAY)  # waits until rows of the test before have arrived in Cassandra
    names = made.feed.plan.names
    for table in ("history", "dropped", "gaps"):
        made.feed.sql(f'DELETE FROM "{names.schema}".{table}')
    for day in range(made.first, made.today + DAY, DAY):
        for stream in (RECENT_TRADES, KLINES):
            made.feed.sql(f'DROP TABLE IF EXISTS "{names.schema}".{partition_name(stream, day)}')
    for table in (RECENT_TRADES.table, KLINES.table):
        made.session.execute(f'TRUNCATE "{names.keyspace}".{table}', timeout=60)
    yield made
    made.close()


def test_days_are_loaded_proven_and_listed_and_the_databases_stay_equal(house: House) -> None:
    house.publish(range(3))

    done = house.load()

    assert done.code == Exit.OK, done.err
    answer = done.json()
    assert answer["files"] == {"proven": 6}
    assert answer["rows"] == 3 * (500 + 1440)
    assert {it["state"] for it in house.listed().values()} == {"proven"}
    assert not (house.folder / "home" / "history").exists() or not list((house.folder / "home" / "history").rglob("*"))

    trades = house.rows("recent_trades", "trade_id, price, audit, ttl(price) AS ttl")
    assert {row.trade_id for row in trades} == set(range(1000, 2500))
    assert {str(row.price) for row in trades if row.trade_id == 1000} == {"95000.10000000"}
    assert all(0 < row.ttl < 23 * 86_400 for row in trades), "what is left of 30 days"
    assert all(row.closed for row in house.rows("klines", "closed"))

    house.feed.insert("recent_trades", [house.today + 1000])
    report = verify(house.feed.target)
    assert report.equal, report.to_json()
    assert report.rows == 1, "PostgreSQL has only the row of today"


def test_a_second_run_has_nothing_to_do_until_a_file_is_published_again(house: House) -> None:
    house.publish(range(1))
    house.load(days=1)
    read = {path: it["sha256"] for path, it in house.listed().items()}
    house.archive.asked.clear()

    assert house.load(days=1).code == Exit.OK
    assert not any(path.endswith(".zip") and method == "GET" for method, path, _ in house.archive.asked)

    path = house.day_of(TRADES, 0)
    house.archive.put(
        path, [line.replace("95000.10000000", "95000.19000000") for line in spot_trades(house.first, 1000, 500)]
    )
    assert house.load(days=1).code == Exit.OK

    assert house.listed()[path]["sha256"] != read[path]
    first = next(row for row in house.rows("recent_trades", "trade_id, price") if row.trade_id == 1000)
    assert str(first.price) == "95000.19000000", "the newer edition wins"


def test_a_killed_load_goes_on_and_ends_with_every_row_once(house: House) -> None:
    house.publish(range(3), trades=40_000)
    program = Path(sys.executable).with_name("cryptocdc")
    span = ["--from", str(house.first), "--to", str(house.first + 3 * DAY)]
    begun = f"SELECT count(*) FROM \"{house.feed.plan.names.schema}\".history WHERE state <> 'planned'"

    def beyond(count: int) -> bool:
        return bool(house.feed.sql(begun)[0][0] > count)

    for kills in range(2):
        process = subprocess.Popen(
            [program, "history", "load", "-f", house.feed.file, *span], env=house.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for("some files", partial(beyond, kills), 60)
        process.send_signal(signal.SIGKILL)
        process.wait()

    done = house.load()

    assert done.code == Exit.OK, done.err
    assert {it["state"] for it in house.listed().values()} == {"proven"}
    ids = [row.trade_id for row in house.rows("recent_trades", "trade_id")]
    assert len(ids) == 120_000
    assert set(ids) == set(range(1000, 121_000))


def test_what_can_not_be_loaded_is_listed_with_the_reason_and_the_rest_is_loaded(house: House) -> None:
    house.publish(range(4))
    wrong, missing = house.day_of(TRADES, 1), house.day_of(TRADES, 2)
    lines = spot_trades(house.first + DAY, 1500, 500)
    lines[7] += ",0"
    house.archive.put(wrong, lines)
    del house.archive.files[missing]

    done = house.load("--stream", "recentTrades", days=4)

    assert done.code == Exit.UNEQUAL
    answer = done.json()
    assert answer["files"] == {"absent": 1, "proven": 2, "quarantined": 1}
    assert answer["missing"] == [missing]
    assert answer["failed"][wrong].startswith("line 8: 9 fields instead of 8")
    table = cryptocdc(house.environment, "history", "list", "-f", house.feed.file)
    assert "line 8: 9 fields instead of 8" in table.out
    assert house.listed()[house.day_of(TRADES, 3)]["missing_before"] == 1000

    house.publish(range(4))
    assert house.load("--stream", "recentTrades", days=4).code == Exit.OK
    assert house.listed()[house.day_of(TRADES, 3)]["missing_before"] == 0


def test_a_wrong_checksum_is_loaded_only_when_accepted(house: House) -> None:
    house.publish(range(1))
    path = house.day_of(TRADES, 0)
    house.archive.files[f"{path}.CHECKSUM"] = f"{'0' * 64}  x.zip".encode()

    refused = house.load("--stream", "recentTrades", days=1)
    assert refused.code == Exit.UNEQUAL
    assert "it has 500 rows, without a hole" in refused.json()["failed"][path]
    assert house.rows("recent_trades") == []

    assert house.load("--stream", "recentTrades", "--accept-mismatch", days=1).code == Exit.OK
    assert "the published one" in house.listed()[path]["reason"]


def test_days_that_postgresql_keeps_and_those_that_have_expired_are_not_loaded(house: House) -> None:
    house.publish(range(10))

    done = house.load("--stream", "recentTrades", first=-25, days=35)

    assert done.code == Exit.OK, done.err
    assert done.json()["not_loaded_days"]["recent_trades"]["expired"] == 7, "the day that expires soon included"
    files = [path for path, it in house.listed().items() if it["state"] == "proven"]
    assert files == [house.day_of(TRADES, day) for day in range(8)]


def test_the_days_that_postgresql_keeps_are_fetched_over_rest_up_to_the_first_row_captured(house: House) -> None:
    """From the archive's days to capture's rows no candle is missing."""
    house.publish(range(6, 10))
    captured = (house.recent + DAY) // 60_000 * 60_000 + 7 * 60_000
    house.feed.insert("klines", [captured], interval="1m", closed=True)

    done = house.load("--stream", "klines", first=6, days=None)

    assert done.code == Exit.OK, done.err
    (part,) = done.json()["over_rest"]
    assert (part["state"], part["from"]) == ("loaded", times.iso(house.recent))
    assert (part["to"], part["rows"]) == (times.iso(captured), 1440 + 7)
    assert "over REST" in cryptocdc(house.environment, "history", "list", "-f", house.feed.file).out
    assert house.load("--stream", "klines", first=6, days=None).json()["over_rest"] == [], "all of it is stored"

    with closing(connect(house.feed.servers.postgres, "test", autocommit=True)) as connection:
        archived = archived_days(connection, house.feed.plan.names, KLINES)
    assert set(archived) == {house.first + 6 * DAY, house.first + 7 * DAY}, "the others rest on the verifier's proof"

    wanted = set(range(house.first + 6 * DAY, captured + 60_000, 60_000))

    def opened() -> set[int]:
        return {times.millis(row.open_time) for row in house.rows("klines", "open_time")}

    wait_for("every candle in Cassandra", lambda: opened() == wanted, 60)
    report = verify(house.feed.target)
    assert report.equal, report.to_json()
    assert report.rows == 1440 + 8


def test_without_captured_rows_they_are_fetched_until_now_and_an_interrupted_range_again(house: House) -> None:
    names = house.feed.plan.names

    assert house.load("--stream", "recentTrades", first=9, days=None).code == Exit.OK
    ids = [row[0] for row in house.feed.sql(f'SELECT trade_id FROM "{names.schema}".recent_trades ORDER BY trade_id')]
    assert ids == list(range(ids[0], ids[-1] + 1))

    # As a kill leaves it: the first rows are stored, the others are not.
    house.feed.sql(f"UPDATE \"{names.schema}\".history SET state = 'planned' WHERE path LIKE 'rest:%'")
    house.feed.sql(f'DELETE FROM "{names.schema}".recent_trades WHERE trade_id > {ids[len(ids) // 2]}')
    done = house.load("--stream", "recentTrades", first=9, days=None)

    assert done.code == Exit.OK, done.err
    again = [row[0] for row in house.feed.sql(f'SELECT trade_id FROM "{names.schema}".recent_trades ORDER BY trade_id')]
    assert again[: len(ids)] == ids
    assert house.listed()["rest:recent_trades/BTCUSDT/aggregate"]["state"] == "loaded"


def test_what_was_captured_live_and_what_the_archive_says_end_as_one_row_the_archive_s(house: House) -> None:
    house.publish(range(1))
    house.feed.insert("recent_trades", [house.first], trade_id=1000, price="1.5")
    wait_for("the captured row", lambda: [str(row.price) for row in house.rows("recent_trades", "price")] == ["1.5"])
    # As retention drops the day, once it is proven.
    names = house.feed.plan.names
    house.feed.sql(f'DROP TABLE "{names.schema}".{partition_name(RECENT_TRADES, house.first)}')

    done = house.load("--stream", "recentTrades", days=1)

    assert done.code == Exit.OK, done.err
    assert done.json()["files"] == {"proven": 1}
    prices = {row.trade_id: str(row.price) for row in house.rows("recent_trades", "trade_id, price")}
    assert len(prices) == 500
    assert prices[1000] == "95000.10000000"


def test_rows_that_postgresql_receives_late_of_a_loaded_day_do_not_replace_the_archive_s(house: House) -> None:
    """As those of a filled gap: they are older."""
    feed = house.feed
    house.publish(range(1))
    assert house.load("--stream", "recentTrades", days=1).code == Exit.OK
    for number in range(3):
        at, given = house.first + 1000 * number, {"trade_id": 1000 + number}
        insert(feed.servers.postgres, feed.plan.names, RECENT_TRADES, [at], "BTCUSDT", **given)

    report = verify(house.feed.target)

    assert report.equal, report.to_json()
    assert report.rows == 3
    assert len(house.rows("recent_trades", "trade_id")) == 500


def interrupted(house: House, when: Callable[[], bool], *options: str) -> subprocess.CompletedProcess[str]:
    """A load that gets SIGINT, as by Ctrl-C, once `when` is true."""
    # A shell's background processes ignore SIGINT, and so do their children.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cryptocdc_local.main import main; main()"
    )
    command = [sys.executable, "-c", program, "history", "load", "-f", str(house.feed.file), *options]
    with subprocess.Popen(
        command, env=house.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as it:
        wait_for("the moment", when, 60)
        it.send_signal(signal.SIGINT)
        out, err = it.communicate(timeout=60)
    return subprocess.CompletedProcess(command, it.returncode, out, err)


def test_an_interrupt_while_files_are_loaded_ends_it_and_the_next_run_completes_it(house: House) -> None:
    house.publish(range(3), trades=40_000)
    begun = f"SELECT count(*) FROM \"{house.feed.plan.names.schema}\".history WHERE state <> 'planned'"

    done = interrupted(
        house, lambda: house.feed.sql(begun)[0][0] > 0, "--from", str(house.first), "--to", str(house.first + 3 * DAY)
    )

    assert done.returncode == Exit.UNEQUAL
    assert "stopped; the same command goes on from here" in done.stderr
    assert "Traceback" not in done.stderr
    assert house.load().code == Exit.OK
    assert len(house.rows("recent_trades", "trade_id")) == 120_000


def test_an_interrupt_while_the_exchange_does_not_answer_ends_it_too(house: House) -> None:
    simulator.fault(house.port, "refuse", status=503, seconds=120)
    begun = f"SELECT count(*) FROM \"{house.feed.plan.names.schema}\".history WHERE path LIKE 'rest:%'"
    try:
        done = interrupted(
            house, lambda: house.feed.sql(begun)[0][0] > 0, "--from", str(house.recent + DAY), "--stream", "klines"
        )
    finally:
        simulator.fault(house.port, "clear")

    assert done.returncode == Exit.UNEQUAL
    assert "Traceback" not in done.stderr
    assert house.listed()["rest:klines/BTCUSDT/1m"]["state"] == "planned"


def test_a_plan_loads_nothing(house: House) -> None:
    house.publish(range(7, 8))

    done = house.load("--plan", first=7, days=None)

    assert done.code == Exit.OK, done.err
    assert done.json()["files"] == {"planned": 2}
    assert [it["state"] for it in done.json()["over_rest"]] == ["planned", "planned"]
    assert "series over REST from" in done.err
    assert house.rows("recent_trades") == house.rows("klines") == []
    assert house.listed() == {}
    assert not any(path.endswith(".zip") and method == "GET" for method, path, _ in house.archive.asked)


def test_bad_input_names_what_is_accepted(house: House) -> None:
    house.publish(range(1))

    unknown = house.load("--symbol", "NOSUCHUSDT", days=1)
    assert unknown.code == Exit.BAD_INPUT
    assert "NOSUCHUSDT" in unknown.err
    assert "symbols that were listed then" in unknown.err

    future = house.load(first=12, days=None)
    assert future.code == Exit.BAD_INPUT
    assert "accepted: a time that has passed" in future.err

    recent = house.load("--symbol", "NOSUCHUSDT", "--stream", "klines", first=10, days=None)
    assert recent.code == Exit.BAD_INPUT
    assert "--symbol: NOSUCHUSDT: simulated does not list it" in recent.err

    stream = house.load("--stream", "orderBook", days=1)
    assert stream.code == Exit.BAD_INPUT
    assert "--stream: 'orderBook' is not accepted; accepted" in stream.err

    okx = house.folder / "okx.yaml"
    document = {**house.feed.document, "metadata": {"name": "okx"}}
    document["spec"] = {
        "exchange": "okx", "symbols": {"names": ["BTC-USDT"]}, "streams": {"klines": {"intervals": ["1m"]}},
    }  # fmt: skip
    okx.write_text(yaml.safe_dump(document))
    none = cryptocdc(house.environment, "history", "load", "-f", okx, "--from", "2026-01")
    assert none.code == Exit.BAD_INPUT
    assert "okx has no public archive" in none.err


def test_the_program_loads_the_feeds_past_and_ends(house: House) -> None:
    """`spec.history.from`, as a run and a Job load it: killed, started again, done but for a file not in order."""
    house.publish(range(3), trades=20_000)
    for table in ("recent_trades", "klines"):
        house.feed.insert(table, [house.recent], interval="1m")  # captured from there on
    house.archive.files[f"{house.day_of(MINUTES, 1)}.CHECKSUM"] = f"{'0' * 64}  x.zip".encode()
    feed, names = house.folder / "feed.yaml", house.feed.plan.names
    document = copy.deepcopy(house.feed.document)
    document["spec"]["history"] = {"from": times.iso(house.first)[:10]}  # type: ignore[index]
    feed.write_text(yaml.safe_dump(document))
    environment = {
        **house.environment, "CRYPTOCDC_FEED": str(feed), "CRYPTOCDC_SOURCE": "simulated",
        "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": str(free_port()),
    }  # fmt: skip
    begun = f"SELECT count(*) FROM \"{names.schema}\".history WHERE state <> 'planned'"
    killed = subprocess.Popen([sys.executable, "-m", "cryptocdc_history.main"], env=environment)
    wait_for("the first file", lambda: house.feed.sql(begun)[0][0] > 0, 60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    done = subprocess.run([sys.executable, "-m", "cryptocdc_history.main"], env=environment, timeout=120, check=False)

    assert done.returncode == Exit.OK
    assert sum(row.trade_id < 1000 + 60_000 for row in house.rows("recent_trades", "trade_id")) == 60_000
    with closing(connect(house.feed.servers.postgres, "test", autocommit=True)) as connection:
        found = counts(connection, names)
    assert (found.files["proven"], found.files["quarantined"]) == (5, 1)
    assert found.rows == 60_000 + 2 * 1440


def test_only_one_process_loads_a_feed_at_a_time(house: House) -> None:
    house.publish(range(1))
    connection = connect(house.feed.servers.postgres, "test", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"{house.feed.plan.names.fid}-history",))
    try:
        done = house.load(days=1)
    finally:
        connection.close()

    assert done.code == Exit.PLATFORM
    assert "being loaded by another process" in done.err
