"""The contents of a record, and decoding it again."""

import msgspec
from tests.unit.alerter.prices import alert, run

from cryptocdc_alerter.evaluation import Evaluation, Known, Position
from cryptocdc_alerter.records import decode, encode, known_of, record_of, removed

NOW_MS = 1_764_072_000_500


def drop():
    (turned,) = run(Evaluation([alert(window="1h", dropPercent=2.5)]), ["100.50", "97.0"])
    return record_of(turned, "majors_sim", "simulated", NOW_MS)


def test_a_record_encodes_every_field_with_exact_numbers():
    assert msgspec.json.decode(encode(drop())) == {
        "id": "ETHUSDT/dropPercent/2.5/1h",
        "feed": "majors_sim",
        "simulated": True,
        "state": "firing",
        "symbol": "ETHUSDT",
        "condition": "dropPercent",
        "threshold": "2.5",
        "window": "1h",
        "price": "97.0",
        "at": "1970-01-01T00:00:01.000Z",
        "at_ms": 1000,
        "since": "1970-01-01T00:00:01.000Z",
        "since_ms": 1000,
        "recorded_at": "2025-11-25T12:00:00.500Z",
        "read": {"topic": "majors.majors.latest_prices", "partition": 3, "offset": 1},
        "compared_with": {"price": "100.50", "at": "1970-01-01T00:00:00.000Z", "at_ms": 0},
        "change_percent": "-3.4826",
    }


def test_the_state_of_an_alert_is_restored_from_its_record():
    record = decode(encode(drop()))
    assert known_of(record) == Known(True, Position("majors.majors.latest_prices", 3, 1), 1000)


def test_an_alert_removed_from_the_feed_resolves_with_the_reason():
    record = removed(drop(), NOW_MS)
    assert (record.state, record.reason) == ("resolved", "the alert is no longer in the feed")
    assert not known_of(record).firing
