"""Every name of a feed's parts outside the programs, derived only from its identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["exchange", "simulated", "capture"]

SUFFIXES: dict[Source, str] = {"exchange": "", "simulated": "_sim", "capture": "_capture"}
"""Simulated and replayed rows never share a table with real ones."""


def source_of(exchange: str) -> Source:
    """Return the source that the feed's `exchange` means, without any fallback to the simulator."""
    return "simulated" if exchange == "simulated" else "exchange"


def identity(feed_name: str, source: Source) -> str:
    """Return the feed's identity `fid`, e.g. ("my-feed", "simulated") → "my_feed_sim"."""
    return feed_name.replace("-", "_") + SUFFIXES[source]


def source_named(feed_name: str, fid: str) -> Source:
    """Return the source of the feed's data by its identity, the reverse of `identity`."""
    return next(source for source in SUFFIXES if identity(feed_name, source) == fid)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a feed's parts. `fid` contains only [a-z0-9_], which the feed's model ensures."""

    fid: str

    @property
    def schema(self) -> str:
        return self.fid

    @property
    def publication(self) -> str:
        """Of a feed with one connector, as `slot` and `connector`; those of more derive from them: see `shards`."""
        return f"{self.fid}_pub"

    @property
    def slot(self) -> str:
        return f"{self.fid}_slot"

    @property
    def connector(self) -> str:
        """With dashes, as Kubernetes requires: KafkaConnector and connector have the same name."""
        return self.fid.replace("_", "-")

    @property
    def sink_connector(self) -> str:
        """With a dot, which no feed's name contains: `majors-sink` would be the connector of another feed."""
        return f"{self.connector}.sink"

    @property
    def topic_prefix(self) -> str:
        return self.fid

    def change_topic(self, table: str) -> str:
        """Debezium's `<topic.prefix>.<schema>.<table>`."""
        return f"{self.topic_prefix}.{self.schema}.{table}"

    @property
    def heartbeat_topic(self) -> str:
        return f"__debezium-heartbeat.{self.topic_prefix}"

    @property
    def symbols_topic(self) -> str:
        return f"{self.fid}.symbols"

    @property
    def dead_letter_topic(self) -> str:
        return f"{self.fid}.dlq"

    @property
    def alerts_topic(self) -> str:
        """Compacted: has the last record of each alert."""
        return f"{self.fid}.alerts"

    @property
    def rejected_topic(self) -> str:
        return f"{self.fid}.rejected"

    @property
    def producer_group(self) -> str:
        return f"{self.fid}-producer"

    @property
    def consumer_group(self) -> str:
        return f"{self.fid}-consumer"

    @property
    def alerter_group(self) -> str:
        return f"{self.fid}-alerter"

    @property
    def analyzer_group(self) -> str:
        return f"{self.fid}-analyzer"

    @property
    def replay_group(self) -> str:
        """Its committed offsets on the dead-letter topic record which dead letters were replayed."""
        return f"{self.fid}-dlq-replay"

    @property
    def keyspace(self) -> str:
        return self.fid


def quoted(identifier: str) -> str:
    """Quote an identifier for SQL or CQL, which have the same rule: quotes inside are doubled."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string literal for SQL or CQL, which have the same rule: quotes inside are doubled."""
    return "'" + text.replace("'", "''") + "'"
