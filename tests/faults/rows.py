"""Rows and records that nobody expects."""

from __future__ import annotations

import time

from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.offsets import ends
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.storage.ddl import DAY_MS, partition_name
from cryptocdc_core.storage.partitioning import change_partition
from cryptocdc_local import applier
from tests.faults.cell import SYMBOLS, Cell
from tests.faults.fault import Fault, Outcome
from tests.faults.observer import LAGGING
from tests.integration import topics
from tests.integration.rows import insert


def add_column(cell: Cell) -> None:
    table = cell.random.choice(["recent_trades", "latest_prices", "order_book"])
    cell.note(table=table)
    cell.sql(f"ALTER TABLE {cell.it.plan.names.schema}.{table} ADD COLUMN note text DEFAULT 'added by hand'")
    cell.hold(5)


def huge_row(cell: Cell) -> None:
    """An order book of 5 MB, more than a topic accepts."""
    symbol = cell.random.choice(SYMBOLS)
    cell.note(symbol=symbol)
    values = {name: name for name in by_table("order_book").column_names}
    columns = ", ".join(values)
    values["bucket_time"] = "bucket_time - interval '500 ms'"  # no other row begins between two seconds
    values["bid_prices"] = "array_fill(64000.12345678::numeric, ARRAY[350000])"
    table = f"{cell.it.plan.names.schema}.order_book"
    newest = f"FROM {table} WHERE symbol = %s ORDER BY bucket_time DESC LIMIT 1"
    cell.sql(f"INSERT INTO {table} ({columns}) SELECT {', '.join(values.values())} {newest}", symbol)


def remove_huge_row(cell: Cell) -> None:
    """The row is deleted, then the feed, which keeps its data. Run again, it takes a new snapshot, without the row."""
    cell.sql(f"DELETE FROM {cell.it.plan.names.schema}.order_book WHERE cardinality(bid_prices) > 100000")
    cell.stop()
    applier.delete(cell.it.plan, cell.direct, lambda _: None, everything=False)
    cell.start()


def poison_record(cell: Cell) -> None:
    names = cell.it.plan.names
    for table in ("recent_trades", "order_book"):
        value = cell.random.choice([b"\xff\xfe not JSON", b'{"symbol": 7}', b"[1, 2]", b'{"symbol": "BTCUSDT"'])
        cell.note(**{table: repr(value)})
        topics.put(cell.direct.kafka, names.change_topic(table), cell.random.randint(0, 5), b'"BTCUSDT"', value)
    cell.wait("the dead letters", lambda: cell.observer.matching("dead_letters_total"), 60)


def add_partitions(cell: Cell) -> None:
    """The records of some symbols go to new partitions from now on. Connect's producer would see them within five
    minutes, and sees them at once when the connector is restarted."""
    names, before = cell.it.plan.names, cell.document["spec"]["scaling"]["partitions"]
    changes = [names.change_topic(table) for table in ("recent_trades", "order_book")]
    count = cell.random.choice([count for count in range(before + 1, 2 * before) if moved(before, count)])
    cell.note(partitions=count, moved=" ".join(moved(before, count)))
    for topic in changes:
        topics.add_partitions(cell.direct.kafka, topic, count)
    Connect(cell.direct.connect.url).restart(names.connector)
    admin = AdminClient(client_config(cell.direct.kafka))
    new = {change_partition(symbol, count) for symbol in moved(before, count)}

    def filled() -> bool:
        return all(end > 0 for (_, number), (_, end) in ends(admin, changes).items() if number in new)

    cell.wait("records in the new partitions", filled, 60)


def moved(before: int, after: int) -> list[str]:
    """Return the symbols whose records go to a new partition once a topic has `after` partitions."""
    return [symbol for symbol in SYMBOLS if change_partition(symbol, after) >= before]


def old_partition(cell: Cell) -> None:
    """Rows past PostgreSQL's retention whose changes nobody has written yet must not be dropped."""
    names, stream = cell.it.plan.names, by_table("recent_trades")
    day = int(time.time() * 1000) // DAY_MS * DAY_MS - 3 * DAY_MS
    partition = f"{names.schema}.{partition_name(stream, day)}"
    rows = cell.random.randint(200, 400)
    cell.note(rows=rows)
    cell.it.programs.scale("consumer", 0)
    try:
        insert(cell.direct.postgres, names, stream, [day + at * 1000 for at in range(rows)], "BTCUSDT")
        _verify_again(cell)
        for _ in range(30):
            cell.hold(1)
            assert cell.sql("SELECT to_regclass(%s) IS NOT NULL", partition) == [(True,)], "dropped, and not carried"
    finally:
        cell.it.programs.scale("consumer", 1)

    def dropped() -> bool:
        if cell.sql("SELECT to_regclass(%s) IS NULL", partition) == [(True,)]:
            return True
        _verify_again(cell)
        cell.hold(25)
        return False

    cell.wait("the partition dropped, once it is proven", dropped, 240)
    (found,) = cell.cql(
        f'SELECT count(*) AS rows FROM "{names.keyspace}".recent_trades WHERE symbol = %s AND hour = {day}', "BTCUSDT"
    )
    assert found.rows == rows, f"{found.rows} of {rows} rows of the dropped partition are in Cassandra"


def _verify_again(cell: Cell) -> None:
    """Partitions are dropped after the verifier's first pass, and then every ten minutes."""
    (verifier,) = cell.it.programs.names("verifier")
    cell.it.programs.kill(verifier)


ROWS = (
    Fault(
        "rows-column-added", "a column is added to a table by hand", add_column, sign="consumer_unknown_fields_total"
    ),
    Fault(
        "rows-5-mb", "a row of 5 MB, more than Kafka accepts", huge_row, Outcome.HALTS,
        sign="connector failed.*RecordTooLargeException", remedy=remove_huge_row, recovers_s=180,
    ),
    Fault("rows-poison-record", "records in the change topics that can't be decoded", poison_record,
          sign="dead_letters_total"),
    Fault(
        "kafka-partitions-added", "partitions are added to change topics under load, and get records", add_partitions,
        absorbed="nothing: consumers and analyzers read them from the beginning",
        spec={"analytics": {
            "bars": ["5s", "1m"], "volatility": ["1m"], "bookMetrics": True, "anomalies": ["5s"], "forecasts": ["1m"],
        }},
    ),
    Fault(
        "rows-old-partition", "a partition past its retention, while its rows are not carried yet", old_partition,
        spec={"retention": {"postgres": "1d", "kafka": "1d", "cassandra": "90d"}}, dies=("verifier",),
        sign=LAGGING,
    ),
)  # fmt: skip
