"""What is exported of which feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from cryptocdc_core.catalogue import Stream, named
from cryptocdc_core.feed.model import CryptoFeed, expiry_margin_ms, retention_s
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.planning.plan import streams_of
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings, PostgresSettings
from cryptocdc_core.time import durations
from cryptocdc_core.time.times import iso


@dataclass(frozen=True)
class Target:
    """A feed under one of its identities, and the servers' settings."""

    feed: CryptoFeed
    source: Source
    postgres: PostgresSettings
    cassandra: CassandraSettings

    @classmethod
    def from_env(cls, feed: CryptoFeed, source: Source, env: Mapping[str, str] | None = None) -> Self:
        """Read the servers' settings. Raises SettingsError."""
        return cls(feed, source, PostgresSettings.from_env(env), CassandraSettings.from_env(env))

    @property
    def names(self) -> Names:
        return Names(identity(self.feed.name, self.source))

    def least_ms(self, now: int) -> int:
        """Return since when no row has expired in Cassandra, or may while it is read."""
        kept_s = retention_s(self.feed.spec.retention.cassandra)
        return 0 if kept_s is None else now - kept_s * 1000 + expiry_margin_ms(kept_s)

    def closing_ms(self, stream: Stream) -> int:
        """Return the length of the longest window of a computed stream, 0 if it has none."""
        analytics = self.feed.spec.analytics
        wanted = None if analytics is None else analytics.model_dump(by_alias=True).get(stream.name)
        return max(durations.seconds(text) for text in wanted) * 1000 if isinstance(wanted, list) else 0


def chosen(feed: CryptoFeed, wanted: Sequence[str]) -> tuple[Stream, ...]:
    """Return the feed's streams, captured and computed, with these names or tables; all if none are given.

    Raises BadInput.
    """
    return named((*streams_of(feed), *feed.spec.computed), wanted, f"those of {feed.name}: ")


@dataclass(frozen=True)
class Range:
    """Times in milliseconds; None for the first stored row, and for the end of what is proven."""

    start: int | None = None
    end: int | None = None

    def refuse(self, now: int) -> None:
        """Raise BadInput if nothing can have been stored in it."""
        if self.start is not None and self.start >= now:
            raise BadInput(f"--from: {iso(self.start)} is in the future; accepted: a time before {iso(now)}")
        if self.end is not None and self.end > now:
            raise BadInput(f"--to: {iso(self.end)} is in the future; accepted: a time up to {iso(now)}")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise BadInput(f"--to: {iso(self.end)} is not accepted; accepted: a time after --from")
