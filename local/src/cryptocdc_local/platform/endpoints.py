"""Addresses and logins of the running servers."""

from __future__ import annotations

from dataclasses import dataclass

from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.settings import LOOPBACK, Ports

POSTGRES_SUPERUSER = "postgres"
POSTGRES_OWNER = "cryptocdc"
POSTGRES_REPLICATION = "debezium"
READER = "cryptocdc_reader"
"""The role in PostgreSQL and Cassandra for dashboards."""
DATABASE = "cryptocdc"
KAFKA_USER = "cryptocdc"
CONNECT_USER = "cryptocdc"
CASSANDRA_USER = "cryptocdc"
CASSANDRA_DATACENTER = "datacenter1"  # SimpleSnitch's only one


@dataclass(frozen=True)
class Endpoints:
    """The owner may create schemas in `postgres_database`; the replication user reads everything and owns the slots."""

    postgres_host: str
    postgres_port: int
    postgres_database: str
    postgres_user: str
    postgres_password: str
    replication_user: str
    replication_password: str
    kafka_bootstrap: str
    kafka_username: str
    kafka_password: str
    connect_url: str  # with user and password in it
    cassandra_hosts: str
    cassandra_port: int
    cassandra_username: str
    cassandra_password: str
    cassandra_datacenter: str

    def environment(self) -> dict[str, str]:
        """The `CRYPTOCDC_*` settings that the programs read."""
        return {f"CRYPTOCDC_{name.upper()}": str(value) for name, value in vars(self).items()}


def endpoints(ports: Ports, credentials: Credentials) -> Endpoints:
    return Endpoints(
        postgres_host=LOOPBACK,
        postgres_port=ports.postgres,
        postgres_database=DATABASE,
        postgres_user=POSTGRES_OWNER,
        postgres_password=credentials.postgres_owner,
        replication_user=POSTGRES_REPLICATION,
        replication_password=credentials.postgres_replication,
        kafka_bootstrap=f"{LOOPBACK}:{ports.kafka}",
        kafka_username=KAFKA_USER,
        kafka_password=credentials.kafka,
        connect_url=f"http://{CONNECT_USER}:{credentials.connect}@{LOOPBACK}:{ports.connect}",
        cassandra_hosts=LOOPBACK,
        cassandra_port=ports.cassandra,
        cassandra_username=CASSANDRA_USER,
        cassandra_password=credentials.cassandra,
        cassandra_datacenter=CASSANDRA_DATACENTER,
    )
