"""Records of the topic `fid.alerts`: keyed by the alert's id, JSON, decimals as strings, times in ISO 8601 and ms."""

from __future__ import annotations

import msgspec

from cryptocdc_alerter.evaluation import Known, Position, Transition
from cryptocdc_core.feed.alerts import number_text
from cryptocdc_core.names import Source
from cryptocdc_core.time.times import iso

FIRING, RESOLVED = "firing", "resolved"
REMOVED = "the alert is no longer in the feed"


class Compared(msgspec.Struct, frozen=True):
    """The price with which the newest was compared: the window's highest for a drop, otherwise its lowest."""

    price: str
    at: str
    at_ms: int


class Read(msgspec.Struct, frozen=True):
    """The position in Kafka of the price at which the alert fired or resolved."""

    topic: str
    partition: int
    offset: int


class Anomaly(msgspec.Struct, frozen=True):
    """The window of the table anomalies that caused the state, and why it stands out; null where it does not."""

    kind: str
    interval: str
    open_time: str
    open_time_ms: int
    reason: str | None


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert that has fired or resolved."""

    id: str
    feed: str
    """The feed's identity."""
    simulated: bool
    state: str
    symbol: str
    condition: str
    threshold: str
    price: str
    """In the quote asset; of an alert on anomalies the window's value."""
    at: str
    """The price's own time; of an alert on anomalies the end of the window."""
    at_ms: int
    since: str
    """When it fired."""
    since_ms: int
    recorded_at: str
    read: Read
    window: str | None = None
    compared_with: Compared | None = None
    change_percent: str | None = None
    """From `compared_with` to the price; for volatilityPercent to the window's highest. Rounded to four decimals."""
    reason: str | None = None
    """Why it resolved, if not at a price."""
    anomaly: Anomaly | None = None


def record_of(turned: Transition, feed: str, source: Source, now_ms: int) -> Record:
    alert, compared, found = turned.alert, turned.compared, turned.found
    return Record(
        id=alert.id,
        feed=feed,
        simulated=source == "simulated",
        state=FIRING if turned.firing else RESOLVED,
        symbol=alert.symbol,
        condition=alert.condition,
        threshold="true" if alert.anomaly else number_text(alert.threshold),
        window=alert.window,
        price=format(turned.point.price, "f"),
        at=iso(turned.point.at_ms),
        at_ms=turned.point.at_ms,
        since=iso(turned.since_ms),
        since_ms=turned.since_ms,
        recorded_at=iso(now_ms),
        read=Read(*turned.position),
        compared_with=None
        if compared is None
        else Compared(format(compared[0].price, "f"), iso(compared[0].at_ms), compared[0].at_ms),
        change_percent=None if compared is None else format(compared[1], "f"),
        anomaly=None
        if found is None
        else Anomaly(found.kind, found.interval, iso(found.open_ms), found.open_ms, found.reason),
    )


def removed(record: Record, now_ms: int) -> Record:
    """Return the record that resolves a firing alert that was removed from the feed."""
    return msgspec.structs.replace(record, state=RESOLVED, reason=REMOVED, recorded_at=iso(now_ms))


def known_of(record: Record) -> Known:
    read, found = record.read, record.anomaly
    window = None if found is None else (found.kind, found.interval, found.open_time_ms)
    return Known(record.state == FIRING, Position(read.topic, read.partition, read.offset), record.since_ms, window)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Record).decode
