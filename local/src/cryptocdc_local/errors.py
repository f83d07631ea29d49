"""What a user sees when a command fails: one clear message, a remedy, and the exit code that scripts rely on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
import requests
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException

from cryptocdc_adapters.exchange.rest import ExchangeError
from cryptocdc_adapters.replication.connect import ConnectError
from cryptocdc_core.program.exits import BadInput, Exit, fail
from cryptocdc_local.platform import PlatformError

_SERVERS = (
    psycopg2.Error, KafkaException, NoHostAvailable, DriverException, requests.RequestException, ConnectError,
    ExchangeError,
)  # fmt: skip


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn known exceptions from the block into a message on standard error and an exit code."""
    try:
        yield
    except BadInput as error:
        fail(error, Exit.BAD_INPUT)
    except psycopg2.errors.RaiseException as error:  # raised by a statement of the plan that refuses the feed
        fail(error.diag.message_primary, Exit.BAD_INPUT)
    except PlatformError as error:
        fail(error, Exit.PLATFORM)
    except _SERVERS as error:
        kind = type(error).__module__.partition(".")[0]
        words = f"{_NAMES.get(kind, kind)}: {' '.join(str(error).split())}"
        hint = "run `cryptocdc status` to see what runs, `cryptocdc doctor` to see what is wrong"
        fail(f"{words}\n  → {hint}", Exit.PLATFORM)


_NAMES = {
    "psycopg2": "PostgreSQL", "confluent_kafka": "Kafka", "cimpl": "Kafka", "cassandra": "Cassandra",
    "requests": "REST", "cryptocdc_adapters": "REST",
}  # fmt: skip
