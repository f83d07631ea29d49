"""The sink connector between real servers: the rows of the consumer, with its TTLs, derived tables and dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import BEST_QUOTES, KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.planning.plan import plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers, delete
from cryptocdc_local.platform import Endpoints
from cryptocdc_local.running.sink import SinkConnector
from tests.integration import topics
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, feed_document
from tests.integration.test_consumer import HOUR_MS, SYMBOLS, House, applied, record
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


@pytest.fixture
def house(
    servers: Servers, endpoints: Endpoints, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[House]:  # fmt: skip
    name = "k" + str(abs(hash(request.node.name)))[:8]
    document = feed_document(
        name, list(SYMBOLS), retention={"postgres": "2d", "kafka": "1d", "cassandra": "3d"}, sink={"engine": "connect"}
    )
    document["spec"]["streams"] = ALL_STREAMS
    document["spec"]["scaling"]["consumers"] = 2
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    planned = plan(ResolvedFeed(feeds.load(file), "simulated", SYMBOLS), servers.facts)
    database = postgres.connect(servers.postgres, "test")
    cluster, session = cassandra.connect(servers.cassandra)
    made = House(servers, endpoints.environment(), planned, file, session, database)
    postgres.apply_schema(servers.postgres, planned.postgres)
    today = made.now_ms - made.now_ms % ddl.DAY_MS
    for stream in planned.streams:
        for day in range(-5, 2):
            statement = ddl.postgres_partition(planned.names, stream, today + day * ddl.DAY_MS)
            postgres.apply_schema(servers.postgres, [statement])
    try:
        yield made
    finally:
        database.close()
        cluster.shutdown()
        delete(planned, servers, lambda _: None, everything=True)


def written_by_connect(house: House) -> SinkConnector:
    applied(house)
    sink = SinkConnector(house.plan, house.servers)
    sink.apply()
    return sink


def test_rows_updates_deletes_nulls_and_derived_tables_arrive(house: House) -> None:
    at = house.now_ms - house.now_ms % 10_000
    book = (["1.50", "1.40"], ["2.0", "0.00000001"], ["1.60"], ["3"])
    house.insert(RECENT_TRADES, [house.trade(1), house.trade(2)])  # before the connector: its snapshot
    sink = written_by_connect(house)
    wait_for("the snapshot's rows", lambda: house.trade_ids() == {1, 2})

    house.insert(RECENT_TRADES, [house.trade(n, price="35130.12000000") for n in (3, 4)])
    house.insert(ORDER_BOOK, [("BTCUSDT", at, 5, *book, at, at, version(at))])
    house.insert(LATEST_PRICES, [("BTCUSDT", at + n, f"{n}.10", at, version(at + n)) for n in range(3)])
    house.insert(BEST_QUOTES, [("BTCUSDT", at, 1, "1.0", "2.0", "3.0", "4.0", at, version(at))])
    house.insert(BEST_QUOTES, [("BTCUSDT", at + 1, None, "1.5", "2.0", None, None, at, version(at + 1))])
    candle = ("BTCUSDT", "1m", at, at + 59_999, *(["1.0"] * 5), None, 7, None, None, False, at, at, version(at))
    house.insert(KLINES, [candle])
    house.execute("UPDATE {schema}.recent_trades SET price = 7.700, version = version + 1 WHERE trade_id = 3")
    house.execute("UPDATE {schema}.klines SET trade_count = NULL, version = version + 1")
    house.execute("DELETE FROM {schema}.recent_trades WHERE trade_id = 4")
    house.execute("DELETE FROM {schema}.latest_prices WHERE price = 0.10")
    house.insert(RECENT_TRADES, [house.trade(5)])

    wait_for("the last row", lambda: house.trade_ids() == {1, 2, 3, 5})
    rows = {row.trade_id: row for row in house.rows("recent_trades")}
    assert (rows[1].audit.op, rows[5].audit.op) == ("r", "c")
    assert str(rows[5].price) == "0.35130000"
    assert (str(rows[3].price), rows[3].audit.op) == ("7.700", "u")
    hops = (rows[5].received_at, *rows[5].audit[2:])
    assert None not in hops
    assert list(hops[1:]) == sorted(hops[1:])
    assert rows[5].audit.lsn > rows[3].audit.lsn > 0
    wrote = house.rows("recent_trades", "trade_id, WRITETIME(price) AS at, version")
    assert all(row.at == row.version for row in wrote)

    wait_for("the newest price", lambda: [str(r.price) for r in house.rows("newest_prices")] == ["2.10"])
    assert {str(row.price) for row in house.rows("latest_prices")} == {"1.10", "2.10"}
    quote = wait_for("the newest quote", lambda: [r for r in house.rows("newest_quotes") if str(r.bid_price) == "1.5"])
    assert (quote[0].ask_price, quote[0].update_id) == (None, None)
    wait_for("a value that became null", lambda: [row.trade_count for row in house.rows("klines")] == [None])
    found = wait_for("the book", lambda: house.rows("order_book"))[0]
    levels = ([format(n, "f") for n in found.bid_prices], [format(n, "f") for n in found.bid_quantities])
    assert levels == book[:2]
    bins = wait_for("the heatmap", lambda: house.rows("order_book_heatmap"))
    assert sum(b.bid_quantity for b in bins) == Decimal("2.00000001")
    assert sum(b.ask_quantity for b in bins) == 3

    house.execute("DELETE FROM {schema}.order_book")
    wait_for("the heatmap without the book", lambda: not house.rows("order_book_heatmap"))
    assert sink.step() == ""


def test_the_ttl_is_the_remaining_retention_and_an_expired_row_is_not_written(house: House) -> None:
    written_by_connect(house)
    day_old, too_old = house.now_ms - 24 * HOUR_MS, house.now_ms - 73 * HOUR_MS
    house.insert(RECENT_TRADES, [house.trade(3, at=too_old), house.trade(2, at=day_old), house.trade(1)])
    wait_for("two rows", lambda: house.trade_ids() == {1, 2})
    ttls = {row.trade_id: row.ttl_price for row in house.rows("recent_trades", "trade_id, TTL(price) AS ttl_price")}
    assert 71 * 3600 < ttls[1] <= 72 * 3600
    assert 47 * 3600 < ttls[2] <= 48 * 3600


def test_a_poison_record_becomes_the_same_dead_letter_as_the_consumers_and_is_replayable(
    house: House, command_environment: dict[str, str]
) -> None:  # fmt: skip
    sink = written_by_connect(house)
    house.insert(RECENT_TRADES, [house.trade(1)])
    wait_for("the first row", lambda: house.trade_ids() == {1})
    topic = house.plan.names.change_topic("recent_trades")
    wide = {"symbol": "S" * 70_000}  # decodes and encodes, and Cassandra refuses the key
    poison = [b"garbage \xff", None, record(house, 10, **wide), record(house, 12, price="NaN")]
    offsets = [topics.put(house.servers.kafka, topic, 2, b"poison", value) for value in poison]
    topics.put(house.servers.kafka, topic, 2, b"sound", record(house, 11))
    house.insert(RECENT_TRADES, [house.trade(n) for n in range(20, 40)])

    wait_for("the neighbours", lambda: house.trade_ids() == {1, 11, *range(20, 40)})
    letters = wait_for("the letters", lambda: _letters(house) if len(_letters(house)) == 4 else None)
    assert sorted(letter.headers["cryptocdc.reason"].split(":")[0] for letter in letters) == [
        "refused", "undecodable", "undecodable", "unencodable",
    ]  # fmt: skip
    assert {letter.headers["cryptocdc.feed"] for letter in letters} == {house.plan.names.fid}
    by_offset = {int(letter.headers["cryptocdc.offset"]): letter for letter in letters}
    assert [by_offset[offset].value for offset in offsets] == poison
    assert {letter.key for letter in letters} == {b"poison"}
    assert {(x.headers["cryptocdc.topic"], x.headers["cryptocdc.partition"]) for x in letters} == {(topic, "2")}
    assert sink.step() == ""

    def dlq(action: str) -> dict[str, Any]:
        answer = cryptocdc(command_environment, "dlq", action, "-f", house.feed_file, "--json")
        assert answer.code == 0, answer.err
        found: dict[str, Any] = json.loads(answer.out)
        return found

    assert dlq("list")["pending"] == 4
    assert dlq("replay")["replayed"] == 4
    # Nothing has become better, so the same four come back.
    wait_for("the letters again", lambda: dlq("list")["pending"] == 4)


def _letters(house: House) -> list[topics.Found]:
    return topics.read(house.servers.kafka, house.plan.names.dead_letter_topic)
