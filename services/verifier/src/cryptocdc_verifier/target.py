"""The feed to verify, and the servers' settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.feed.model import CryptoFeed, expiry_margin_ms, retention_s
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.program.settings import CassandraSettings, ConnectSettings, KafkaSettings, PostgresSettings
from cryptocdc_core.storage.windows import END_OF_TIME, Window


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


def window_of(target: Target, now: int, start: int | None, end: int | None) -> Window:
    """Return the window without the time whose rows have expired in Cassandra, or may expire while they are read."""
    least = start or 0
    kept_s = target.cassandra_retention_s
    if kept_s is not None:
        least = max(least, now - kept_s * 1000 + expiry_margin_ms(kept_s))
    return Window(least, max(least, END_OF_TIME if end is None else end))
