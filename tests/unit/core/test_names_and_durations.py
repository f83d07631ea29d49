"""Names derived from a feed, quoting, durations."""

import pytest

from cryptocdc_core.names import Names, identity, literal, quoted
from cryptocdc_core.time import durations


def test_every_name_derives_from_the_identity():
    names = Names(identity("my-feed", "exchange"))
    given = {name: getattr(names, name) for name in dir(names) if not name.startswith("_")}
    assert given.pop("change_topic")("klines") == "my_feed.my_feed.klines"
    assert given == {
        "fid": "my_feed", "schema": "my_feed", "publication": "my_feed_pub", "slot": "my_feed_slot",
        "connector": "my-feed", "topic_prefix": "my_feed", "heartbeat_topic": "__debezium-heartbeat.my_feed",
        "symbols_topic": "my_feed.symbols", "dead_letter_topic": "my_feed.dlq", "rejected_topic": "my_feed.rejected",
        "alerts_topic": "my_feed.alerts", "alerter_group": "my_feed-alerter",
        "analyzer_group": "my_feed-analyzer",
        "producer_group": "my_feed-producer", "consumer_group": "my_feed-consumer",
        "replay_group": "my_feed-dlq-replay", "keyspace": "my_feed", "sink_connector": "my-feed.sink",
    }  # fmt: skip


def test_real_simulated_and_replayed_rows_never_share_a_name():
    assert [identity("a-b", source) for source in ("exchange", "simulated", "capture")] == [
        "a_b",
        "a_b_sim",
        "a_b_capture",
    ]


def test_the_longest_names_fit_the_servers():
    names = Names(identity("a" * 30, "capture"))
    assert len(names.keyspace) <= 48  # Cassandra's limit
    assert len(names.slot) <= 63  # PostgreSQL's


@pytest.mark.parametrize(("raw", "safe"), [('a"b', '"a""b"'), ('"; DROP TABLE x; --', '"""; DROP TABLE x; --"')])
def test_identifiers_are_quoted(raw, safe):
    assert quoted(raw) == safe


def test_strings_are_quoted():
    assert literal("it's") == "'it''s'"


@pytest.mark.parametrize(
    ("text", "s"), [("1s", 1), ("60s", 60), ("15m", 900), ("12h", 43_200), ("2d", 172_800), ("1w", 604_800)]
)
def test_durations_in_seconds(text, s):
    assert durations.seconds(text) == s


@pytest.mark.parametrize("text", ["", "0s", "s", "1", "1.5h", "-1s", "1y", " 1s", "1s ", "1s\n", "１s", "1234567s"])
def test_an_invalid_duration_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError, match="is not a duration: a whole number with a unit is accepted"):
        durations.seconds(text)
