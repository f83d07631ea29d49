"""The shards of a feed: what its connectors, slots and publications are called, and which rows each has."""

import pytest
from tests.unit.core.planning.test_plan import planned

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.names import Names
from cryptocdc_core.storage import ddl
from cryptocdc_core.storage.shards import of_connectors, of_slots, shards

NAMES = Names("my_feed_sim")


def test_the_only_connector_of_a_feed_is_called_as_before_there_could_be_several():
    (only,) = shards(NAMES, 1)
    assert (only.connector, only.slot, only.publication) == (NAMES.connector, NAMES.slot, NAMES.publication)
    assert only.rows is None


def test_several_connectors_have_names_that_no_other_feed_and_no_other_number_has():
    made = [shard for number in (1, 2, 3) for shard in shards(NAMES, number)]
    assert len({shard.connector for shard in made}) == len({shard.slot for shard in made}) == 6
    assert made[1].connector == "my-feed-sim.1of2"
    assert made[1].slot == "my_feed_sim_slot_1of2"
    assert made[1].publication == "my_feed_sim_pub_1of2"


def test_the_longest_names_are_accepted_by_postgresql():
    (*_, last) = shards(Names("a" * 30 + "_capture"), 8)
    assert max(len(last.slot), len(last.publication)) <= 63


def test_shards_are_recognized_by_their_names():
    wanted = [*shards(NAMES, 1), *shards(NAMES, 12)]
    assert list(of_slots(NAMES, [shard.slot for shard in wanted]).values()) == wanted
    assert list(of_connectors(NAMES, [shard.connector for shard in wanted]).values()) == wanted


@pytest.mark.parametrize("name", ["my-feed-sim.sink", "my-feed", "my-feed-sim-2", "my-feed-sim.", "my-feed-sim.0of2"])
def test_a_sink_connector_and_other_feeds_connectors_are_no_shards(name):
    assert of_connectors(NAMES, [name]) == {}


def test_the_plan_of_one_connector_has_no_trace_of_shards():
    planned_ = planned()
    assert not any("hashtext" in text or "max_wal_senders" in text for text in planned_.postgres)
    assert not any("snapshot.select" in key or "metric" in key for key in planned_.connector)
    assert [shard.connector for shard in planned_.connectors] == ["my-feed"]


def test_each_publication_has_its_rows_of_every_stream_and_the_whole_heartbeat():
    made = ddl.postgres_schema(NAMES, list(STREAMS.values()), "debezium", 3)
    for number in (1, 2, 3):
        (altered,) = [text for text in made if f'ALTER PUBLICATION "my_feed_sim_pub_{number}of3"' in text]
        assert altered.count(f"WHERE ((hashtext(symbol) & 2147483647) % 3 = {number - 1})") == len(STREAMS)
        assert altered.endswith(', "my_feed_sim"."heartbeat"')


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.table)
def test_the_row_filters_column_is_in_every_primary_key(stream):
    """PostgreSQL refuses updates of a published table whose row filter has other columns."""
    assert "symbol" in stream.key


def test_each_connector_reads_its_publication_and_takes_a_snapshot_of_its_rows_only():
    made = planned(streams={"klines": {}, "recentTrades": {}}, scaling={"connectors": 2}).connectors
    assert [(config["slot.name"], config["publication.name"]) for config in made.values()] == [
        ("my_feed_slot_1of2", "my_feed_pub_1of2"),
        ("my_feed_slot_2of2", "my_feed_pub_2of2"),
    ]
    first, second = made.values()
    assert first["topic.prefix"] == second["topic.prefix"]
    assert first["custom.metric.tags"] != second["custom.metric.tags"], "they would have the same metrics in one worker"
    key = "snapshot.select.statement.overrides"
    assert first[key] == "my_feed.recent_trades,my_feed.klines"
    assert second[f"{key}.my_feed.klines"] == (
        'SELECT * FROM "my_feed"."klines" WHERE (hashtext(symbol) & 2147483647) % 2 = 1'
    )


def test_publications_of_another_number_are_dropped_and_those_kept_are_not():
    statement = ddl.drop_publications(NAMES, shards(NAMES, 2)).replace("''", "'")
    assert "pubname ~ '^my_feed_sim_pub(_[0-9]+of[0-9]+)?$'" in statement
    assert "ARRAY['my_feed_sim_pub_1of2', 'my_feed_sim_pub_2of2']" in statement
