"""A certificate authority given as a file means that the server's certificate is checked against it."""

import ssl

import certifi
import psycopg2
import pytest

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings, PostgresSettings


@pytest.mark.parametrize("ca_file", [None, "/ca.crt"])
def test_the_ca_file_is_passed_to_postgres(monkeypatch, ca_file):
    asked = {}

    def connect(**how):
        asked.update(how)
        raise psycopg2.OperationalError

    monkeypatch.setattr(psycopg2, "connect", connect)
    with pytest.raises(psycopg2.OperationalError):
        postgres.connect(PostgresSettings(password="p", sslmode="verify-full", ca_file=ca_file), "test")
    assert (asked["sslmode"], asked["sslrootcert"]) == ("verify-full", ca_file)


@pytest.mark.parametrize("ca_file", [None, certifi.where()])
def test_cassandra_verifies_the_certificate_against_the_ca_file(monkeypatch, ca_file):
    asked = {}

    class Cluster:
        def __init__(self, *_, **how):
            asked.update(how)
            raise OSError

    monkeypatch.setattr(cassandra, "Cluster", Cluster)
    with pytest.raises(OSError):
        cassandra.connect(CassandraSettings(password="p", ca_file=ca_file))
    context = asked["ssl_context"]
    assert (context is None) == (ca_file is None)
    if context is not None:
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert not context.check_hostname


@pytest.mark.parametrize(
    ("username", "ca_file", "protocol"),
    [
        (None, None, None),
        ("u", None, "SASL_PLAINTEXT"),
        (None, "/ca.crt", "SSL"),
        ("u", "/ca.crt", "SASL_SSL"),
    ],
)
def test_credentials_and_ca_file_select_kafka_s_security_protocol(username, ca_file, protocol):
    config = client_config(KafkaSettings(username=username, password="p", ca_file=ca_file, mechanism="SCRAM-SHA-512"))
    assert config.get("security.protocol") == protocol
    assert config.get("sasl.mechanism") == ("SCRAM-SHA-512" if username else None)
