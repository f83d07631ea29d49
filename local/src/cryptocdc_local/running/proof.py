"""The final verification of a run: whether everything captured is in Cassandra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptocdc_local.applier import Servers
from cryptocdc_local.feeds import AppliedFeed
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_verifier.target import Target, VerifyError
from cryptocdc_verifier.verify import verify


def prove(applied: AppliedFeed, servers: Servers, say: Callable[[str], None], explained: int = 20) -> dict[str, Any]:
    """Wait until everything in PostgreSQL has been replicated, compare, and return the report of `verify --json`, with
    up to `explained` differing keys.

    Raises PlatformError if a part of the pipeline makes no progress.
    """
    target = Target(applied.feed, applied.source, servers.postgres, servers.kafka, servers.cassandra, servers.connect)
    try:
        report = verify(target, explained=explained, say=lambda what, rows: say(what or f"{rows:,} rows compared"))
    except VerifyError as error:
        raise PlatformError(
            str(error), "run `cryptocdc status` to see what runs, then `cryptocdc verify` to try again"
        ) from error
    return report.to_json()
