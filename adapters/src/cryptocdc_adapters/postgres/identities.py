"""Finds the identities under which a feed has tables here: real, simulated, replayed."""

from __future__ import annotations

from cryptocdc_adapters.postgres.connections import connect
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import SUFFIXES, Source, identity, source_of
from cryptocdc_core.program.settings import PostgresSettings


def source_in_use(settings: PostgresSettings, feed: CryptoFeed, given: str | None) -> Source:
    """Return the source to use: `given`, or else the only one under which the feed has tables in PostgreSQL.

    A run falls back to the simulator automatically, so its user need not know which one was used.
    Raises FeedError if `given` is not a source, or if there are several to choose from; psycopg2.Error.
    """
    by_identity = {identity(feed.name, source): source for source in SUFFIXES}
    if given is not None:
        if given not in SUFFIXES:
            raise FeedError([f"--source: {given!r} is not accepted; accepted: {', '.join(SUFFIXES)}"])
        return next(source for source in SUFFIXES if source == given)
    connection = connect(settings, "identities", autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", (list(by_identity),))
            found = [by_identity[name] for (name,) in cursor.fetchall()]
    finally:
        connection.close()
    if len(found) > 1:
        names = " and ".join(sorted(found))
        raise FeedError([f"--source: {feed.name} has tables as {names}; choose one, e.g. --source {found[0]}"])
    return found[0] if found else source_of(feed.spec.exchange)
