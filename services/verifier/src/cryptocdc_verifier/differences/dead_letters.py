"""Reads the pending dead letters, whose rows are missing in Cassandra."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from confluent_kafka import Consumer, KafkaException, Message

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.topics import read_to_ends, uncommitted
from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_verifier.target import VerifyError

LETTERS_KEPT = 1000
UNKNOWN = "?"
"""Used as the symbol of a dead letter whose key can't be decoded."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`topic`, `partition` and `offset` are the position of the record."""

    reason: str
    topic: str
    partition: str
    offset: str
    value: bytes


@dataclass
class Pending:
    """The number of pending dead letters by symbol, and the first LETTERS_KEPT of them."""

    symbols: Counter[str] = field(default_factory=Counter)
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.symbols.total()


def symbol_of(key: bytes | None) -> str:
    """Return the symbol in a change record's key: {"symbol": …}, or that in a payload if schemas are on."""
    try:
        document = json.loads(key or b"")
        document = document.get("payload", document)
        return str(document["symbol"])
    except (ValueError, AttributeError, KeyError, TypeError):
        return UNKNOWN


def read_pending(settings: KafkaSettings, names: Names, at_most: int | None = None) -> Pending:
    """Return the dead letters that have not been replayed; with `at_most` only so many, and no others are counted.

    Raises VerifyError if Kafka does not answer.
    """
    topic = names.dead_letter_topic
    pending = Pending()
    # The replay group, for its committed offsets; this consumer assigns partitions itself and neither joins nor
    # commits.
    consumer = Consumer(client_config(settings, group_id=names.replay_group, enable_auto_commit=False))
    try:
        for message in islice(read_to_ends(consumer, topic, uncommitted(consumer, topic)), at_most):
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
