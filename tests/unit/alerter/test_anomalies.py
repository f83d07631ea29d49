"""Alerts on anomalies fire and resolve once, whatever is sent again or computed late."""

from decimal import Decimal

import pytest
from tests.unit.alerter.prices import alert

from cryptocdc_alerter.anomalies import OLD_MS, Anomalies, AnomalyEvaluation, Compared
from cryptocdc_alerter.evaluation import Position
from cryptocdc_alerter.records import decode, encode, known_of, record_of
from cryptocdc_analyzer.records import Result, value_of
from cryptocdc_core.rows.changes import Undecodable

TOPIC = "majors.majors.anomalies"
LENGTH_MS = 60_000


class Play:
    """Sends windows one after the other, each at the next offset."""

    def __init__(self, *alerts):
        self.alerts = alerts
        self.evaluation = AnomalyEvaluation(alerts)
        self.offset = 0
        self.last = {}

    def __call__(self, minute, anomaly, kind="volume", late_ms=0, interval="1m", again=None):
        close_ms = (minute + 1) * LENGTH_MS - 1
        one = Compared(
            "ETHUSDT", kind, interval, minute * LENGTH_MS, close_ms, anomaly, Decimal(7), "so high" * anomaly
        )
        self.offset += again is None
        offset = self.offset if again is None else again
        turned = self.evaluation.evaluate(one, Position(TOPIC, 3, offset), close_ms + late_ms)
        for transition in turned:
            self.last[transition.alert.id] = encode(record_of(transition, "majors", "exchange", close_ms))
        return [(found.alert.id, found.firing) for found in turned]

    def restart(self):
        self.evaluation = AnomalyEvaluation(self.alerts)
        self.evaluation.restore({name: known_of(decode(record)) for name, record in self.last.items()})


def test_it_fires_with_an_anomaly_and_resolves_with_the_next_window_that_is_none():
    play = Play(alert(anomaly=True), alert(anomaly=True, kind="price"))
    assert play(1, False) == []
    assert play(2, True) == [("ETHUSDT/anomaly", True)]
    assert play(3, True) == []
    assert play(4, False, kind="spread") == []
    assert play(4, False, interval="5s") == []
    assert play(4, False) == [("ETHUSDT/anomaly", False)]
    assert play(5, True, kind="price") == [("ETHUSDT/anomaly", True), ("ETHUSDT/anomaly/price", True)]


def test_a_restart_continues_with_what_was_recorded():
    play = Play(alert(anomaly=True))
    assert play(2, True) == [("ETHUSDT/anomaly", True)]
    play.restart()
    assert play(2, True, again=1) == []
    assert play(3, False) == [("ETHUSDT/anomaly", False)]
    play.restart()
    assert play(2, True, again=1) == play(3, False, again=2) == []


def test_a_window_that_is_computed_again_fires_nothing():
    play = Play(alert(anomaly=True))
    play(2, True)
    play(3, False)
    assert play(2, True) == []
    assert play(3, True) == [("ETHUSDT/anomaly", True)]
    assert play(3, False) == [("ETHUSDT/anomaly", False)]


def test_an_anomaly_of_the_distant_past_fires_nothing():
    play = Play(alert(anomaly=True))
    assert play(2, True, late_ms=OLD_MS + 1) == []
    assert play(2, True, late_ms=OLD_MS) == [("ETHUSDT/anomaly", True)]


def test_the_record_says_what_stands_out_and_why():
    play = Play(alert(anomaly=True, kind="volume"))
    play(2, True)
    record = decode(play.last["ETHUSDT/anomaly/volume"])
    assert (record.condition, record.threshold, record.price, record.at_ms) == ("anomaly", "true", "7", 179_999)
    assert record.anomaly is not None
    assert (record.anomaly.kind, record.anomaly.interval, record.anomaly.open_time_ms) == ("volume", "1m", 120_000)
    assert record.anomaly.reason == "so high"


ROW = {
    "symbol": "ETHUSDT", "interval": "1m", "kind": "volume", "open_time": 60_000, "close_time": 119_999,
    "anomaly": True, "value": "7.5", "expected": "1", "score": "6", "reason": "so high", "window_count": 40,
    "event_time": 119_000, "received_at": 119_001, "version": 60_000_100,
}  # fmt: skip


def test_the_rows_of_the_analyzer_are_read():
    assert Anomalies().read(value_of(Result("anomalies", ROW, 1))) == Compared(
        "ETHUSDT", "volume", "1m", 60_000, 119_999, True, Decimal("7.5"), "so high"
    )


def test_a_value_that_is_not_a_decimal_is_undecodable():
    with pytest.raises(Undecodable, match="value 'x' is not a decimal"):
        Anomalies().read(value_of(Result("anomalies", ROW | {"value": "x"}, 1)))
