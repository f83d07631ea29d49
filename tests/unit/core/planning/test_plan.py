"""The contents of a plan; the same feed always gives the same plan."""

import json

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.planning.connector import CONVERTER, for_plugins
from cryptocdc_core.planning.plan import plan, streams_of, written_to
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.storage.partitioning import partition_of

FACTS = PlatformFacts("10.0.0.1", 5432, "cryptocdc", "debezium", "${env:CRYPTOCDC_REPLICATION_PASSWORD}")
STREAMS: dict[str, object] = {"orderBook": {}, "klines": {}, "recentTrades": {}}


def planned(name="my-feed", symbols=("BTCUSDT", "ETHUSDT"), source="exchange", kept=(), **spec):
    return plan(ResolvedFeed(feed(name, **{"streams": STREAMS} | spec), source, symbols), FACTS, kept)


def test_streams_are_in_the_catalogues_order():
    assert [stream.table for stream in streams_of(feed(streams=STREAMS))] == ["recent_trades", "klines", "order_book"]


@pytest.mark.parametrize(
    ("name", "partitions", "config"),
    [
        ("my_feed.my_feed.recent_trades", 6, {"retention.ms": "86400000"}),
        ("my_feed.my_feed.klines", 6, {"retention.ms": "86400000"}),
        ("my_feed.my_feed.order_book", 6, {"retention.ms": "86400000"}),
        ("my_feed.symbols", 6, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        ("my_feed.dlq", 1, {"retention.ms": "-1", "max.message.bytes": "2097152"}),
        ("my_feed.alerts", 1, {"cleanup.policy": "compact", "segment.ms": "3600000"}),
        ("my_feed.rejected", 1, {"retention.ms": "86400000"}),
        ("__debezium-heartbeat.my_feed", 1, {"retention.ms": "3600000"}),
    ],
)
def test_topics_have_the_planned_partitions_and_configuration(name, partitions, config):
    topics = {topic.name: topic for topic in planned(scaling={"partitions": 6}).topics}
    assert len(topics) == 8
    assert (topics[name].partitions, topics[name].config) == (partitions, config)


def test_topics_with_retention_keep_never_expire():
    topics = {topic.name: topic for topic in planned(retention={"kafka": "keep"}).topics}
    assert topics["my_feed.my_feed.klines"].config == {"retention.ms": "-1"}


def test_symbols_are_assigned_like_by_kafkas_partitioner():
    assert planned(scaling={"partitions": 6}).symbols == {s: partition_of(s, 6) for s in ("BTCUSDT", "ETHUSDT")}


def test_the_same_feed_gives_the_same_plan():
    assert planned() == planned()


def test_a_removed_stream_is_carried_while_its_table_exists():
    left = planned(streams={"klines": {}}, kept=["recent_trades", "klines"])
    assert [stream.table for stream in left.streams] == ["klines"]
    assert left.carried == planned(streams={"klines": {}, "recentTrades": {}}).streams
    assert left.connector == planned(streams={"klines": {}, "recentTrades": {}}).connector
    assert left.topics == planned(streams={"klines": {}, "recentTrades": {}}).topics
    assert planned(streams={"klines": {}}).connector["table.include.list"] == "my_feed.klines"


def test_a_table_that_the_catalogue_does_not_know_is_not_carried():
    assert planned(kept=["somebodys_own"]) == planned()


def test_a_simulated_feed_shares_no_name_with_the_real_one():
    real, made_up = planned(), planned(source="simulated")
    assert not {t.name for t in real.topics} & {t.name for t in made_up.topics}
    assert not set(real.cassandra) & set(made_up.cassandra)
    assert made_up.connector["slot.name"] == "my_feed_sim_slot"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("topic.prefix", "my_feed"),
        ("slot.name", "my_feed_slot"),
        ("publication.name", "my_feed_pub"),
        ("publication.autocreate.mode", "disabled"),
        ("table.include.list", "my_feed.recent_trades,my_feed.klines,my_feed.order_book"),
        ("message.key.columns", "my_feed.recent_trades:symbol;my_feed.klines:symbol;my_feed.order_book:symbol"),
        ("decimal.handling.mode", "string"),
        ("tombstones.on.delete", "false"),
        ("key.converter", CONVERTER),
        ("value.converter", CONVERTER),
        ("poll.interval.ms", "10"),
        ("database.password", "${env:CRYPTOCDC_REPLICATION_PASSWORD}"),
    ],
)
def test_the_connector_has_the_planned_configuration(setting, value):
    assert planned().connector[setting] == value


def test_without_our_converter_the_connector_has_debeziums_transform_and_kafkas_converter():
    wanted = planned().connector
    assert for_plugins(wanted, {CONVERTER, "io.debezium.X"}) == wanted
    found = for_plugins(wanted, {"io.debezium.X"})
    assert found["value.converter"] == found["key.converter"] == "org.apache.kafka.connect.json.JsonConverter"
    assert found["value.converter.schemas.enable"] == found["key.converter.schemas.enable"] == "false"
    assert found["transforms.unwrap.type"] == "io.debezium.transforms.ExtractNewRecordState"
    assert found["transforms.unwrap.add.fields"] == "op,lsn,source.ts_us"
    assert found["transforms.unwrap.delete.tombstone.handling.mode"] == "rewrite"
    assert CONVERTER not in found.values()


def test_each_change_topic_maps_to_its_stream():
    assert {topic: stream.table for topic, stream in planned().change_topics.items()} == {
        "my_feed.my_feed.recent_trades": "recent_trades",
        "my_feed.my_feed.klines": "klines",
        "my_feed.my_feed.order_book": "order_book",
    }


def test_a_computed_stream_has_a_topic_and_a_table_in_cassandra_and_nothing_in_postgresql():
    made, plain = planned(analytics={"bars": ["5s", "1m"]}), planned()
    assert [stream.table for stream in made.computed] == ["bars"]
    assert {topic.name for topic in made.topics} - {topic.name for topic in plain.topics} == {"my_feed.my_feed.bars"}
    assert made.change_topics["my_feed.my_feed.bars"].computed_from == "recent_trades"
    assert (made.postgres, made.connector, made.streams) == (plain.postgres, plain.connector, plain.streams)
    (table,) = set(made.cassandra) - set(plain.cassandra)
    assert 'PRIMARY KEY (("symbol", "interval", "day"), "open_time")' in table


def test_a_removed_computed_stream_is_written_by_every_engine_while_its_table_exists():
    made = planned(kept=["recent_trades", "bars"], sink={"engine": "connect"})
    assert made.computed == ()
    assert [stream.table for stream in made.written] == ["recent_trades", "klines", "order_book", "bars"]
    assert "my_feed.my_feed.bars" in made.sink_connector["topics"].split(",")
    assert "my_feed.my_feed.bars" in json.loads(made.sink_connector["mapping"])
    assert "my_feed.my_feed.bars" in {topic.name for topic in made.topics}
    assert any('"bars"' in statement for statement in made.cassandra)


def test_book_metrics_are_computed_if_the_feed_requests_them():
    assert [s.table for s in planned(analytics={"bookMetrics": True}).computed] == ["book_metrics"]
    models = {"anomalies": ["5s"], "forecasts": ["1m"]}
    made = planned(analytics={"bookMetrics": True, "bars": ["5s", "1m"], "volatility": ["1m"], **models})
    tables = [stream.table for stream in made.computed]
    assert tables == ["bars", "realized_volatility", "book_metrics", "anomalies", "forecasts"]


def test_consumers_write_a_computed_stream_while_its_table_exists():
    tables = ["recent_trades", "bars", "somebodys_own"]
    assert [s.table for s in written_to(feed(streams={"klines": {}}), tables)] == ["recent_trades", "klines", "bars"]
    bars = feed(streams={"recentTrades": {}}, analytics={"bars": ["5s"]})
    assert [stream.table for stream in written_to(bars, [])] == ["recent_trades", "bars"]


def test_the_connector_fails_where_its_slot_is_ahead_instead_of_leaving_changes_out():
    assert planned().connector["offset.mismatch.strategy"] == "trust_offset"
