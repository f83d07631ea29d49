"""The consumer as in tutorials: poll, json.loads, one execute per row. A separate program: `TOPIC KEYSPACE GROUP`.

It prints the number of rows that Cassandra has acknowledged.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from confluent_kafka import Consumer

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings

REPORT_EVERY_S = 0.02


def decimal(field: dict[str, Any]) -> Decimal:
    """Decode Debezium's VariableScaleDecimal: a scale, and the digits in base64."""
    return Decimal(int.from_bytes(base64.b64decode(field["value"]), "big", signed=True)).scaleb(-field["scale"])


def when(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def main() -> None:
    topic, keyspace, group = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = CassandraSettings.from_env()
    login = PlainTextAuthProvider(settings.username, settings.password)
    session = Cluster([settings.hosts], port=settings.port, auth_provider=login).connect(keyspace)
    consumer = Consumer(client_config(KafkaSettings.from_env(), group_id=group, auto_offset_reset="earliest"))
    consumer.subscribe([topic])
    written = 0

    def report() -> None:
        """Print the count on another thread, so that the loop is not slowed down."""
        reported = 0
        while True:
            time.sleep(REPORT_EVERY_S)
            if written > reported:
                reported = written
                print(reported, flush=True)

    threading.Thread(target=report, daemon=True).start()
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        row = json.loads(message.value())["payload"]["after"]
        at = when(row["trade_time"])
        session.execute(
            "INSERT INTO recent_trades (symbol, hour, trade_time, trade_id, price, quantity, first_trade_id,"
            " last_trade_id, buyer_is_maker, received_at, version)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                row["symbol"], at.replace(minute=0, second=0, microsecond=0), at, row["trade_id"],
                decimal(row["price"]), decimal(row["quantity"]), row["first_trade_id"], row["last_trade_id"],
                row["buyer_is_maker"], when(row["received_at"]), row["version"],
            ),
        )  # fmt: skip
        written += 1


if __name__ == "__main__":
    main()
