"""Every name that a feed gives to something outside, derived from its identity and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["exchange", "simulated", "capture"]

SUFFIXES: dict[Source, str] = {"exchange": "", "simulated": "_sim", "capture": "_capture"}
"""Made-up and replayed rows never share a table with real ones."""


def source_of(exchange: str) -> Source:
    """The source that a feed names itself, when nothing falls back: the simulator's rows are made up."""
    return "simulated" if exchange == "simulated" else "exchange"


def identity(feed_name: str, source: Source) -> str:
    """The feed's identity `fid`, e.g. ("my-feed", "simulated") → "my_feed_sim"."""
    return feed_name.replace("-", "_") + SUFFIXES[source]


@dataclass(frozen=True, slots=True)
class Names:
    """What a feed's parts are called. `fid` holds only [a-z0-9_], as the feed's model sees to."""

    fid: str

    @property
    def schema(self) -> str:
        return self.fid

    @property
    def publication(self) -> str:
        return f"{self.fid}_pub"

    @property
    def slot(self) -> str:
        return f"{self.fid}_slot"

    @property
    def connector(self) -> str:
        """With a dash, as Kubernetes wants names: the KafkaConnector and the connector are called the same."""
        return self.fid.replace("_", "-")

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
        """By alert its last record."""
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
    def replay_group(self) -> str:
        """Its committed offsets on the dead-letter topic say which letters were replayed."""
        return f"{self.fid}-dlq-replay"

    @property
    def keyspace(self) -> str:
        return self.fid


def quoted(identifier: str) -> str:
    """The identifier quoted for SQL and for CQL, which agree: doubled quotes inside quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a string of SQL and of CQL, which agree: doubled quotes inside quotes."""
    return "'" + text.replace("'", "''") + "'"
