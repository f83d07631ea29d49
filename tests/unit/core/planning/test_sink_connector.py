"""The configuration of the sink connector, and its mapping of every stream."""

import json

import pytest
from tests.unit.core.planning.test_plan import planned

from cryptocdc_core.catalogue import COMPUTED, DERIVED, STREAMS
from cryptocdc_core.names import Names
from cryptocdc_core.planning.sink_connector import mapping
from cryptocdc_core.storage.ddl import cassandra_columns

CONNECT = {"sink": {"engine": "connect"}}
EVERY = [*STREAMS.values(), *COMPUTED.values()]
WHOLE = mapping(Names("f"), EVERY, 3600)


def test_only_a_feed_with_the_connect_engine_has_a_sink_connector():
    assert planned().sink_connector is None
    assert planned(**CONNECT, scaling={"consumers": 0}).sink_connector is None
    assert planned(**CONNECT).sink_connector is not None


def test_the_sink_connector_reads_every_carried_topic_in_the_consumer_group():
    made = planned(**CONNECT, kept=["latest_prices"])
    config = made.sink_connector
    assert config["topics"].split(",") == list(made.change_topics)
    assert "my_feed.my_feed.latest_prices" in config["topics"]
    assert config["consumer.override.group.id"] == made.names.consumer_group
    assert json.loads(config["mapping"]).keys() == made.change_topics.keys()
    assert config["errors.deadletterqueue.topic.name"] == made.names.dead_letter_topic


@pytest.mark.parametrize(("consumers", "partitions", "tasks"), [(1, 12, "1"), (4, 12, "4"), (9, 6, "6")])
def test_the_sink_connector_has_at_most_one_task_per_partition(consumers, partitions, tasks):
    made = planned(**CONNECT, scaling={"consumers": consumers, "partitions": partitions})
    assert made.sink_connector["tasks.max"] == tasks


def test_the_sink_connector_s_name_differs_from_every_feed_s_connector():
    assert Names("majors").sink_connector != Names("majors_sink").connector


def test_the_sink_connector_writes_computed_rows_too():
    lengths = {name: ["3s"] for name in ("bars", "volatility", "anomalies", "forecasts")}
    config = planned(**CONNECT, analytics={**lengths, "bookMetrics": True}).sink_connector
    topics = {f"my_feed.my_feed.{stream.table}" for stream in COMPUTED.values()}
    assert topics <= set(config["topics"].split(","))
    assert topics <= json.loads(config["mapping"]).keys()


@pytest.mark.parametrize("stream", EVERY, ids=lambda stream: stream.name)
def test_every_column_of_every_table_is_mapped(stream):
    topic = WHOLE[f"f.f.{stream.table}"]
    assert {*stream.column_names} < {*topic["present"]}
    assert {*topic["required"]} & {*stream.column_names} == {*stream.column_names} - {c.name for c in stream.nullable}
    table, *derived = topic["tables"]
    assert table["columns"].keys() == {"audit", *(column.name for column in cassandra_columns(stream))}
    assert table["delete"]["where"] == [*stream.partition, stream.bucket_column, *stream.clustering]
    assert ("replace" in table) == bool(stream.nullable)
    assert table["ttl"] == {"seconds": 3600, "from": stream.time}
    wanted = [each for each in DERIVED if each.source == stream.table]
    assert [each["table"] for each in derived] == [f"f.{each.table}" for each in wanted]
    for made, each in zip(derived, wanted, strict=True):
        assert made["columns"].keys() == {column.name for column in each.columns}


def test_rows_without_retention_have_no_ttl():
    whole = mapping(Names("f"), EVERY, None)
    tables = [table for topic in whole.values() for table in topic["tables"]]
    assert all("ttl" not in table for table in tables)


def test_one_second_candles_have_daily_buckets():
    columns = WHOLE["f.f.klines"]["tables"][0]["columns"]
    assert columns["month"] == {"floor": "open_time", "to": "month", "by": "interval", "finer": {"1s": "day"}}
