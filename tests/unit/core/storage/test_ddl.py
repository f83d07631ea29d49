"""The statements for both databases."""

import pytest

from cryptocdc_core.catalogue import DERIVED, STREAMS, by_table
from cryptocdc_core.names import Names
from cryptocdc_core.storage import ddl

NAMES = Names("my_feed")
ALL = list(STREAMS.values())
KLINES = by_table("klines")
ONE = "{'class': 'SimpleStrategy', 'replication_factor': 1}"


def postgres(names=NAMES, streams=ALL, user="debezium"):
    return ddl.postgres_schema(names, streams, user)


def cassandra(retention_s=None, streams=ALL, names=NAMES):
    return ddl.cassandra_schema(names, streams, retention_s, ONE)


def statement(statements, *parts):
    (found,) = [s for s in statements if all(part in s for part in parts)]
    return found


def test_a_table_in_postgres_is_partitioned_by_its_time_and_null_only_where_the_catalogue_says():
    made = statement(postgres(), 'CREATE TABLE IF NOT EXISTS "my_feed"."klines"')
    assert made.endswith('PRIMARY KEY ("symbol", "interval", "open_time")) PARTITION BY RANGE ("open_time")')
    assert '"open_time" timestamp(3) NOT NULL' in made
    assert '"taker_buy_volume" numeric, ' in made
    assert made.count("NOT NULL") == len(KLINES.columns) - len(KLINES.nullable)


def test_only_nullable_columns_of_an_existing_table_lose_their_constraint():
    made = statement(postgres(streams=[KLINES]), "DROP NOT NULL").replace("''", "'")
    assert made.count("DROP NOT NULL") == len(KLINES.nullable) == 4
    assert "IF EXISTS (SELECT FROM pg_attribute" in made, "it locks the table, so it must not run each time"
    assert not any("DROP NOT NULL" in s for s in postgres(streams=[by_table("latest_prices")]))


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.table)
def test_columns_that_order_and_prove_rows_are_not_nullable(stream):
    ordering = {*stream.key, stream.time, stream.event, "received_at", "version", *(stream.open_until or ())}
    assert not ordering & {column.name for column in stream.nullable}


def test_only_columns_outside_cassandras_key_are_nullable_in_derived_tables():
    for derived in DERIVED:
        keys = {*derived.partition, *derived.clustering}
        assert not keys & {column.name for column in derived.columns if column.nullable}


def test_the_publication_has_the_heartbeat_and_the_partition_roots_without_truncate():
    made = statement(postgres(), "CREATE PUBLICATION").replace("''", "'")
    assert "publish = 'insert, update, delete'" in made
    assert "publish_via_partition_root = true" in made
    assert '"my_feed"."heartbeat"' in made
    assert "gaps" not in made
    assert "proofs" not in made


def test_a_table_in_cassandra_has_a_bucket_in_its_partition_and_the_newest_first():
    made = statement(cassandra(), '"my_feed"."klines" (')
    assert 'PRIMARY KEY (("symbol", "interval", "month"), "open_time")' in made
    assert 'CLUSTERING ORDER BY ("open_time" DESC)' in made
    assert ", audit frozen<audit>, PRIMARY KEY" in made
    origin = statement(cassandra(), "CREATE TYPE")
    for field in ("op", "lsn", "committed_at", "produced_at", "written_at"):
        assert f'"{field}" ' in origin


@pytest.mark.parametrize("stream", ALL, ids=lambda stream: stream.table)
def test_a_key_is_the_same_in_both_databases(stream):
    """Otherwise two rows of PostgreSQL would be one row in Cassandra."""
    assert {*stream.partition, *stream.clustering} == set(stream.key)
    assert stream.time in stream.key
    assert {"version", "received_at", stream.event} <= set(stream.column_names)


@pytest.mark.parametrize(
    ("retention_s", "hours"), [(90 * 86_400, 86), (86_400, 1), (60, 1), (7 * 86_400, 7), (None, 24)]
)
def test_a_ttl_has_about_25_compaction_windows(retention_s, hours):
    made = statement(cassandra(retention_s), '"my_feed"."recent_trades" (')
    assert f"'compaction_window_size': {hours}}}" in made


def test_derived_tables_exist_where_their_source_does():
    assert any('"newest_prices"' in s for s in cassandra())
    assert not any("newest" in s or "heatmap" in s for s in cassandra(streams=[KLINES]))


def test_partitions_span_days_in_utc():
    at = 1_795_219_200_000
    assert ddl.partition_name(KLINES, at) == "klines_p20261121"
    assert ddl.postgres_partition(NAMES, KLINES, at).endswith(
        "PARTITION OF \"my_feed\".\"klines\" FOR VALUES FROM ('2026-11-21') TO ('2026-11-22')"
    )


def test_every_statement_can_be_run_again():
    again = ("IF NOT EXISTS", "ON CONFLICT DO NOTHING", "ALTER ", "GRANT ")
    for made in (*postgres(), *cassandra()):
        assert any(word in made for word in again), made


def test_injected_names_stay_inside_their_quotes():
    """The model refuses such names; the statements are safe regardless."""
    evil = Names('x"; DROP SCHEMA public; --')
    for made in (*postgres(evil, user='u"; DROP ROLE r; --'), *cassandra(names=evil)):
        assert "DROP" not in without_quoted(made), made


def without_quoted(text):
    """Return `text` without what is in single or double quotes, parsed as both servers do."""
    left, quote, at = [], "", 0
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == quote and text[at + 1 : at + 2] == quote:
                at += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        else:
            left.append(letter)
        at += 1
    return "".join(left)
