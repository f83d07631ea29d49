"""Whether a part that writes no rows to Cassandra works again after a fault."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress

import requests
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException

from cryptocdc_core.catalogue import by_table
from tests.faults.cell import SYMBOLS, Cell
from tests.integration import topics

PROVEN_S = 300.0
"""Within this time a minute after the fault is proven: it has to pass, and the verifier looks every minute."""
BARS = "5s"
ALERT = {"symbol": SYMBOLS[0], "window": "1h", "dropPercent": 50}
"""The price falls so much only if the simulated exchange is asked for it."""


def alerter_works(cell: Cell, lifted_ms: float) -> bool:
    """Return whether an alert fired since. The price is let fall with the first call, after the fault."""
    if "crashed" not in cell.parameters:
        cell.note(crashed=ALERT["symbol"])
        cell.exchange("crash", symbol=ALERT["symbol"], percent=60, seconds=1)
    with suppress(KafkaException):
        found = topics.read(cell.direct.kafka, cell.it.plan.names.alerts_topic)
        return _fired_since(lifted_ms, (record.value for record in found))
    return False


def _fired_since(at_ms: float, values: Iterable[bytes | None]) -> bool:
    records = [json.loads(value) for value in values if value]
    return any(record["state"] == "firing" and record["since_ms"] > at_ms for record in records)


def api_works(cell: Cell, lifted_ms: float) -> bool:
    """Return whether the API returns a later price of each symbol."""
    try:
        answer = requests.get(f"{cell.it.address}/latest_prices", timeout=5)
        rows = answer.json() if answer.ok else []
    except requests.RequestException:
        return False
    return {row["symbol"] for row in rows if row["event_time_ms"] > lifted_ms} >= set(SYMBOLS)


def verifier_works(cell: Cell, lifted_ms: float) -> bool:
    """Return whether every table is proven beyond the end of the fault."""
    (verifier,) = cell.it.programs.names("verifier")
    proven = cell.samples(verifier).by("cryptocdc_verifier_proven_through_timestamp_seconds", "table")
    return bool(proven) and min(proven.values()) * 1000 > lifted_ms


def analyzer_works(cell: Cell, lifted_ms: float) -> bool:
    """Return whether Cassandra has a bar of each symbol that began later."""
    keyspace, bars, now_ms = cell.it.plan.names.keyspace, by_table("bars"), int(time.time() * 1000)
    try:
        newest = [
            cell.cql(
                f'SELECT toUnixTimestamp(open_time) AS at FROM "{keyspace}".bars'
                f" WHERE symbol = %s AND interval = %s AND {bars.bucket_column} = {bars.bucket.floor(now_ms)} LIMIT 1",
                symbol, BARS,
            )
            for symbol in SYMBOLS
        ]  # fmt: skip
    except (DriverException, NoHostAvailable):
        return False
    return all(found and found[0].at > lifted_ms for found in newest)
