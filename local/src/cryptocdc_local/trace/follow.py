"""Follows a row until it is in Cassandra: a symbol's next row as it is captured, or an existing one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cryptocdc_adapters.exchange.rest import ExchangeError
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.rows.hops import CASSANDRA, EXCHANGE, KAFKA, POSTGRES, Stored, Trail, Values
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue
from cryptocdc_local.trace.frames import Listener, requested_again
from cryptocdc_local.trace.places import Places, now_us

POLL_S = 0.02
FRAME_LATE_US = 1_000_000
"""Two connections receive the same frame within this time."""


@dataclass(frozen=True)
class End:
    """How a trace ended: `at` is the last hop that the row has reached; `reason` is empty if it arrived unchanged."""

    at: str
    reason: str = ""


def next_row(places: Places, known: Values, listener: Listener | None, deadline: float) -> Stored | None:
    """Return the first new row with the columns `known`; with a listener, one whose frame was received, if any are
    received at all. None if there is none by the deadline (monotonic)."""
    before = places.newest(known)
    version = -1 if before is None else before.values["version"]
    since_us = now_us() if listener is None or listener.since_us is None else listener.since_us
    while time.monotonic() < deadline:
        found = places.newest(known)
        if found is not None and found.values["version"] > version:
            if listener is None or listener.problem:
                return found
            if listener.frame_of(places.stream, found.values) is not None:
                return found
            # Its frame arrived before we were connected, or is still to come.
            if found.values["received_at"] * 1000 > since_us + FRAME_LATE_US < now_us() - FRAME_LATE_US:
                return found
        time.sleep(POLL_S)
    return None


def follow(places: Places, key: Values, deadline: float, *, fresh: bool) -> Trail:
    """Return the trail of the row with that key, with Cassandra's row once it has the same version as PostgreSQL's, or
    as it is at the deadline.

    `fresh`: the row is new, so that the time at which it is read from Cassandra is close to its arrival."""
    stream = places.stream
    trail = Trail(stream, key)
    while True:
        trail.stored = places.stored(key)
        trail.written = places.written(key)
        read_us = now_us()
        if trail.stored is None or _arrived(trail) or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    if fresh and _arrived(trail):
        trail.read_back_us = read_us
    _find_record(places, trail)
    if trail.stored is None:
        dropped = places.dropped(key[stream.time])
        trail.notes[POSTGRES] = "its day was proven and then dropped by retention" if dropped else "not in PostgreSQL"
    return trail


def _arrived(trail: Trail) -> bool:
    stored, written = trail.stored, trail.written
    return stored is not None and written is not None and stored.values["version"] == written.values["version"]


def _find_record(places: Places, trail: Trail) -> None:
    stored, written = trail.stored, trail.written
    audit = written.audit if written is not None else {}
    if audit and (stored is None or _arrived(trail)):
        lsn = audit["lsn"]
        trail.sent = places.sent(trail.key, audit["produced_at"], lambda change: change.lsn == lsn)
    elif stored is not None:
        version = stored.values["version"]
        received = stored.values["received_at"]
        trail.sent = places.sent(trail.key, received, lambda change: getattr(change, "version", None) == version)
    else:
        trail.sent = places.sent(trail.key, trail.key[trail.stream.time])
    if trail.sent is None:
        kept = places.target.feed.spec.retention.kafka
        trail.notes[KAFKA] = f"its record is not in Kafka, where the retention is {kept}"


def add_frame(trail: Trail, listener: Listener) -> None:
    """Add the row's frame that was received, or a note why there is none."""
    trail.frame = listener.frame_of(trail.stream, trail.values)
    if trail.frame is None:
        trail.notes[EXCHANGE] = listener.problem or f"its frame is not among the {len(listener)} received"


def add_current_answer(places: Places, trail: Trail, venue: Venue) -> None:
    """Add what the exchange now returns for the row, or a note why it returns nothing."""
    try:
        found = requested_again(places.target.feed, trail.stream, trail.values, venue)
    except (ExchangeError, Rejected) as error:
        found = f"requested again, the exchange answers: {error}"
    if isinstance(found, str):
        trail.notes[EXCHANGE] = found
    else:
        trail.frame = found


def end_of(places: Places, trail: Trail) -> End:
    """Return where the trail ends, and why."""
    stored, sent, written = trail.stored, trail.sent, trail.written
    if trail.equal and (stored is not None or places.dropped(trail.key[trail.stream.time])):
        return End(CASSANDRA)
    if sent is not None and sent.op == "d" and stored is None and written is None:
        return End(CASSANDRA)  # a row that was deleted in both
    if written is not None and stored is None:
        return End(CASSANDRA, "PostgreSQL does not have it: `cryptocdc verify --explain` shows details")
    if stored is None and sent is None:
        return End("", "there is no such row in PostgreSQL, Kafka or Cassandra")
    if written is not None and (stored is None or _arrived(trail)):
        columns = sorted({name for names in trail.differing.values() for name in names})
        return End(CASSANDRA, f"{', '.join(columns)} differ: `cryptocdc verify --explain` shows details")
    held = "" if written is None else f", which still has version {written.values['version']}"
    if sent is None:
        slot = places.describe_slot(str(trail.key["symbol"]))
        return End(POSTGRES, f"neither in Kafka nor in Cassandra{held}: {slot}")
    return End(KAFKA, f"not in Cassandra{held}: {places.describe_consumers(sent)}")


def nothing_arrived(stream: Stream, listener: Listener | None, limit_s: float) -> End:
    """Return the end of a trace for which no row arrived in time."""
    if listener is None or not len(listener):
        heard = "" if listener is None or not listener.problem else f" ({listener.problem})"
        return End("", f"nothing arrived within {limit_s:g} s: no frame from the exchange{heard}, no row in PostgreSQL")
    return End(
        EXCHANGE,
        f"{len(listener)} frames of {listener.channel} arrived within {limit_s:g} s, but PostgreSQL got no new"
        f" row of {stream.table}: is a producer running? (`cryptocdc status`)",
    )
