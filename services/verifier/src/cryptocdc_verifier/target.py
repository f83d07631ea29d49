"""The feed to verify, and the servers' settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.feed import CryptoFeed, retention_s
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.plan import streams_of
from cryptocdc_core.settings import CassandraSettings, ConnectSettings, KafkaSettings, PostgresSettings


class VerifyError(RuntimeError):
    """Verification is impossible: a part of the platform does not answer or makes no progress. The message says why."""


@dataclass(frozen=True)
class Target:
    """A feed under one of its identities, and the servers' settings."""

    feed: CryptoFeed
    source: Source
    postgres: PostgresSettings
    kafka: KafkaSettings
    cassandra: CassandraSettings
    connect: ConnectSettings

    @classmethod
    def from_env(cls, feed: CryptoFeed, source: Source, env: Mapping[str, str] | None = None) -> Self:
        """Read the servers' settings. Raises SettingsError."""
        return cls(
            feed,
            source,
            PostgresSettings.from_env(env),
            KafkaSettings.from_env(env),
            CassandraSettings.from_env(env),
            ConnectSettings.from_env(env),
        )

    @property
    def names(self) -> Names:
        return Names(identity(self.feed.name, self.source))

    @property
    def streams(self) -> tuple[Stream, ...]:
        return streams_of(self.feed)

    @property
    def computed(self) -> tuple[Stream, ...]:
        return self.feed.spec.computed

    @property
    def cassandra_retention_s(self) -> int | None:
        return retention_s(self.feed.spec.retention.cassandra)

    @property
    def postgres_retention_s(self) -> int | None:
        return retention_s(self.feed.spec.retention.postgres)
