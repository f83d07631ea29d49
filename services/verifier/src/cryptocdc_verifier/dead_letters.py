"""The dead letters that wait for a replay: which rows they keep from Cassandra."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message

from cryptocdc_adapters.kafka import client_config
from cryptocdc_adapters.topics import read_to_ends, uncommitted
from cryptocdc_core.names import Names
from cryptocdc_core.settings import KafkaSettings
from cryptocdc_verifier.target import VerifyError

LETTERS_KEPT = 1000
UNKNOWN = "?"
"""Stands for the symbol of a letter whose key can't be read."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`topic`, `partition` and `offset` say where the record stood."""

    reason: str
    topic: str
    partition: str
    offset: str
    value: bytes


@dataclass
class Pending:
    """All pending letters counted, by symbol; the first LETTERS_KEPT of them kept."""

    symbols: Counter[str] = field(default_factory=Counter)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.symbols.total()


def symbol_of(key: bytes | None) -> str:
    """The symbol of a change record's key: {"symbol": …}, or that within a payload where schemas are on."""
    try:
        document = json.loads(key or b"")
        document = document.get("payload", document)
        return str(document["symbol"])
    except (ValueError, AttributeError, KeyError, TypeError):
        return UNKNOWN


def read_pending(settings: KafkaSettings, names: Names) -> Pending:
    """The letters after what their replay has committed. Raises VerifyError when Kafka does not answer."""
    topic = names.dead_letter_topic
    pending = Pending()
    # The replay's group, for what it has committed; this consumer is assigned by hand, joins nothing, commits nothing.
    consumer = Consumer(client_config(settings, group_id=names.replay_group, enable_auto_commit=False))
    try:
        for message in read_to_ends(consumer, topic, uncommitted(consumer, topic)):
            _take(message, pending)
    except KafkaException as error:
        raise VerifyError(f"Kafka at {settings.bootstrap}: {error.args[0].str()}") from None
    finally:
        consumer.close()
    return pending


def _take(message: Message, pending: Pending) -> None:
    pending.symbols[symbol_of(message.key())] += 1
    if len(pending.letters) < LETTERS_KEPT:
        headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or []}
        pending.letters.append(
            DeadLetter(
                headers.get("cryptocdc.reason", ""), headers.get("cryptocdc.topic", ""),
                headers.get("cryptocdc.partition", ""), headers.get("cryptocdc.offset", ""), message.value() or b"",
            )
        )  # fmt: skip
