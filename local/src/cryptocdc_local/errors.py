"""What a user sees when a command fails: one clear message, a way out, and the exit code that scripts rely on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
import requests
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException

from cryptocdc_adapters.connect import ConnectError
from cryptocdc_adapters.exchange import ExchangeError
from cryptocdc_core.exits import BadInput, Exit, fail
from cryptocdc_local.platform import PlatformError

_SERVERS = (psycopg2.Error, KafkaException, NoHostAvailable, requests.RequestException, ConnectError, ExchangeError)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the known failures inside the block into a message on standard error and an exit code."""
    try:
        yield
    except BadInput as error:
        fail(error, Exit.BAD_INPUT)
    except psycopg2.errors.RaiseException as error:  # a statement of the plan's that found the feed at fault
        fail(error.diag.message_primary, Exit.BAD_INPUT)
    except PlatformError as error:
        fail(error, Exit.PLATFORM)
    except _SERVERS as error:
        kind = type(error).__module__.partition(".")[0]
        words = f"{_NAMES.get(kind, kind)}: {' '.join(str(error).split())}"
        fail(f"{words}\n  → `cryptocdc status` tells what runs, `cryptocdc doctor` what is wrong", Exit.PLATFORM)


_NAMES = {
    "psycopg2": "PostgreSQL", "confluent_kafka": "Kafka", "cimpl": "Kafka", "cassandra": "Cassandra",
    "requests": "REST", "cryptocdc_adapters": "REST",
}  # fmt: skip
