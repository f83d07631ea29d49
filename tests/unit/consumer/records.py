"""Records as the connector sends them, and an intake for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from cryptocdc_consumer.intake import Intake
from cryptocdc_consumer.transform import Transform
from cryptocdc_core.catalogue import STREAMS, Stream, Type
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ConsumerMetrics
from cryptocdc_core.rows.versions import version

from .statements import KEYSPACE, Prepared

NAMES = Names(KEYSPACE)
NOW_MS = 1_795_250_000_000
_SAMPLE = {
    Type.TEXT: "BTCUSDT", Type.BIGINT: 7, Type.INTEGER: 7, Type.BOOLEAN: True, Type.DECIMAL: "0.35130000",
    Type.DECIMALS: ["1.50", "1.40"], Type.TIMESTAMP: NOW_MS,
}  # fmt: skip


def row(stream: Stream, **values: Any) -> dict[str, Any]:
    """Return a row of the stream with plausible defaults."""
    made = {column.name: _SAMPLE[column.type] for column in stream.columns}
    made |= {"version": version(NOW_MS)}
    return made | values


def change(stream: Stream, op: str = "c", committed_us: int = NOW_MS * 1000, **values: Any) -> bytes:
    """The record of a row as our own connector sends it; a delete's other columns are zeroed, as Debezium does it."""
    meta = {"__deleted": str(op == "d").lower(), "__op": op, "__lsn": 1, "__source_ts_us": committed_us}
    found = row(stream, **values)
    if op == "d":
        zero = {Type.TEXT: "", Type.DECIMAL: "0", Type.DECIMALS: [], Type.BOOLEAN: False}
        found = {n: v if n in stream.key else zero.get(stream.types[n], 0) for n, v in found.items()}
    return msgspec.json.encode(found | meta)


@dataclass
class Record:
    """A record as Kafka's client returns it."""

    stream: Stream
    raw: bytes | None
    at: int = 0
    lane: int = 0
    produced_ms: int = NOW_MS + 5

    def topic(self) -> str:
        return NAMES.change_topic(self.stream.table)

    def partition(self) -> int:
        return self.lane

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b'{"symbol":"BTCUSDT"}'

    def value(self) -> bytes | None:
        return self.raw

    def timestamp(self) -> tuple[int, int]:
        return (1, self.produced_ms)

    def error(self) -> None:
        return None


def intake(
    retention_s: int | None = None, transform: Transform | None = None
) -> tuple[Intake, Prepared, ConsumerMetrics]:
    prepared, metrics = Prepared(), ConsumerMetrics("test")
    return Intake(NAMES, list(STREAMS.values()), retention_s, prepared, metrics, transform), prepared, metrics
