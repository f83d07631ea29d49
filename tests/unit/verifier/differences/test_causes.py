"""The likely cause of a difference, from what can be seen of it."""

from typing import Any

import pytest

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.rows.versions import deletion_version
from cryptocdc_verifier.differences.causes import Evidence, likely_cause
from cryptocdc_verifier.differences.dead_letters import UNKNOWN, DeadLetter, symbol_of
from cryptocdc_verifier.differences.explain import DeadLettersByKey
from cryptocdc_verifier.differences.records import Sent

VERSION = 1_795_250_000_000_000
WALL = 1_795_259_999_000_123
CREATED = Sent(0, 17, "c", VERSION, VERSION)
DELETED = Sent(0, 18, "d", 0, VERSION + 5)
AGAIN = Sent(0, 19, "c", VERSION, VERSION + 9)


def evidence(kind, **more):
    known: dict[str, Any] = {
        "postgres_version": None if kind == "extra" else VERSION,
        "cassandra_version": None if kind == "missing" else VERSION,
        "columns": [], "write_times": {}, "op": "c", "lsn": 5, "letters": [], "sent": [], "complete": True,
    }  # fmt: skip
    return Evidence(kind=kind, **(known | more))


@pytest.mark.parametrize(
    ("seen", "name", "words"),
    [
        (evidence("missing", letters=[DeadLetter("price: no decimal", "t", "0", "1", b"")]), "dead_letter",
         "no decimal"),
        (evidence("missing", sent=[CREATED]), "deleted_by_hand", "partition 0, offset 17"),
        (evidence("missing", sent=[CREATED]), "deleted_by_hand", "deleted in Cassandra by hand"),
        (evidence("missing", sent=[CREATED, DELETED, AGAIN]), "delete_wins", "inserted again"),
        (evidence("missing", sent=[CREATED, DELETED]), "insert_lost", "its last change in Kafka is its delete"),
        (evidence("missing"), "never_sent", "Kafka has no change of it"),
        (evidence("missing", complete=False), "untraced", "not among Kafka's newest"),
        (evidence("extra", op=None, lsn=None), "extra", "written to Cassandra by hand"),
        (evidence("extra", sent=[CREATED]), "extra", "a TRUNCATE"),
        (evidence("extra", sent=[CREATED, DELETED]), "extra", "written to Cassandra by hand after the delete"),
        (evidence("different", columns=["price"], write_times={"price": WALL}), "wall_clock",
         "price: Cassandra's WRITETIME"),
        (evidence("different", columns=["price"], write_times={"price": WALL}), "wall_clock",
         "without USING TIMESTAMP"),
        (evidence("different", columns=["price"], write_times={"price": None}), "column_deleted",
         "price: no value in Cassandra"),
        (evidence("different", columns=["price"], cassandra_version=VERSION - 1000,
                  write_times={"price": VERSION - 1000}), "update_lost", "the update was lost"),
        (evidence("different", columns=["price"], cassandra_version=VERSION + 1000,
                  write_times={"price": VERSION + 1000}), "newer_version", "newer than PostgreSQL's"),
        (evidence("different", columns=["trade_count"], cassandra_version=VERSION - 1000,
                  write_times={"trade_count": None}), "update_lost", "the update was lost"),
        (evidence("different", columns=["version", "price"], cassandra_version=-1,
                  write_times={"version": None, "price": None}), "column_deleted", "deleted there by hand"),
        (evidence("different", columns=["trade_count"], write_times={"trade_count": VERSION - 1000}), "older_value",
         "trade_count: Cassandra still has the value of an older version"),
        (evidence("different", columns=["received_at"], write_times={"received_at": VERSION}), "received_again",
         "PostgreSQL lost the first copy"),
        (evidence("different", columns=["price", "received_at"],
                  write_times={"price": VERSION, "received_at": VERSION}), "same_version", "changed by hand"),
        (evidence("different", columns=["price"], write_times={"price": VERSION}), "same_version",
         "without raising it"),
    ],
)  # fmt: skip
def test_the_likely_cause_follows_from_the_evidence(seen, name, words):
    cause = likely_cause(seen)
    assert cause.name == name
    assert words in cause.text


@pytest.mark.parametrize("sent", [[CREATED, DELETED, AGAIN], [CREATED, DELETED]])
def test_a_delete_wins_by_the_time_that_the_consumer_gives_it(sent):
    assert likely_cause(evidence("missing", sent=sent)).wins_us == deletion_version(DELETED.committed_us)


@pytest.mark.parametrize(
    ("key", "symbol"),
    [
        (b'{"symbol":"BTCUSDT"}', "BTCUSDT"),
        (b'{"schema":{},"payload":{"symbol":"BTCUSDT"}}', "BTCUSDT"),
        (b"\xff", UNKNOWN), (b"[]", UNKNOWN), (b"3", UNKNOWN), (None, UNKNOWN),
    ],
)  # fmt: skip
def test_a_dead_letters_symbol_is_read_from_its_key(key, symbol):
    assert symbol_of(key) == symbol


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (b'{"symbol":"BTCUSDT","event_time":1000,"price":"x"}', True),
        (b'{"symbol":"BTCUSDT","event_time":10001,"price":"x"}', False),
        (b'{"payload":{"after":{"symbol":"BTCUSDT","event_time":1000}}}', True),
        (b'{"symbol":"BTCUSDT","event_time":1000,"pri', True),
        (b'{"symbol":"ETHUSDT","event_time":1000,"pri', False),
        (b"[1]", False),
    ],
)
def test_a_dead_letter_is_matched_to_its_key(value, holds):
    letter = DeadLetter("", "", "", "", value)
    letters = DeadLettersByKey(by_table("latest_prices"), [letter])
    assert letters.of((b"BTCUSDT", b"1000")) == [letter] * holds


def test_a_dead_letter_is_decoded_once_for_all_keys(monkeypatch):
    decoded = []

    def decode(value):
        decoded.append(value)
        return {"symbol": "BTCUSDT", "event_time": len(decoded)}

    monkeypatch.setattr("cryptocdc_verifier.differences.explain.msgspec.json.decode", decode)
    first, second = (DeadLetter("", "", "", str(offset), b"{}") for offset in (1, 2))
    letters = DeadLettersByKey(by_table("latest_prices"), [first, second])

    found = [letters.of((b"BTCUSDT", str(at).encode())) for at in range(4)]

    assert found == [[], [first], [second], []]
    assert len(decoded) == 2
