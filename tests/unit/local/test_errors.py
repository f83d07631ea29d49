"""What a user sees when a server fails in the middle of a command."""

from __future__ import annotations

import psycopg2
import pytest
from cassandra import OperationTimedOut
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaError, KafkaException

from cryptocdc_core.program.exits import Exit
from cryptocdc_local.errors import explained


@pytest.mark.parametrize(
    ("error", "server"),
    [
        (psycopg2.OperationalError("server closed the connection"), "PostgreSQL: "),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT)), "Kafka: "),
        (NoHostAvailable("no host", {}), "Cassandra: "),
        (OperationTimedOut("no answer", "127.0.0.1"), "Cassandra: "),
    ],
)
def test_a_server_that_fails_is_named_and_ends_a_command_with_exit_code_3(
    error: Exception, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, explained():
        raise error
    assert ended.value.code == Exit.PLATFORM
    assert server in capsys.readouterr().err
