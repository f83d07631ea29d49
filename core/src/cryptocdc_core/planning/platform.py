"""The properties of a platform that a plan depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """Properties of the platform: how Connect reaches PostgreSQL and Cassandra, and how Cassandra and Kafka replicate.

    The credentials may be references (`${secrets:…}`) that Connect resolves itself.
    """

    postgres_host: str
    postgres_port: int
    postgres_database: str
    replication_user: str
    replication_password: str
    postgres_sslmode: str = "prefer"
    cassandra_hosts: str = "127.0.0.1"
    cassandra_port: int = 9042
    cassandra_datacenter: str = "datacenter1"
    cassandra_user: str = "cryptocdc"
    cassandra_password: str = ""
    cassandra_ca: str | None = None
    """The certificate authority in PEM, if connections to Cassandra use TLS."""
    cassandra_replication: str = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    topic_replication: int = 1
