"""The end of a run's capture: known gaps are filled first, and those that stay open are reported."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.names import quoted
from cryptocdc_core.storage.ddl import GAP_WAITS, GAPS
from cryptocdc_core.time.times import iso
from cryptocdc_local.running.run import Run

STALLED_S = 60.0
"""Stop waiting for gaps once none has been filled for this long; the exchange may be down or not provide them."""
LOOK_S = 0.5


class OpenGap(NamedTuple):
    """Trade ids, or open times of candles in milliseconds, both ends included, that are not in PostgreSQL. A negative
    `first` is the time in milliseconds, negated, at which the past of a symbol's trades begins."""

    table: str
    symbol: str
    interval: str
    first: int
    last: int
    reason: str = ""
    """Of a gap that waits for a file of the exchange's archive: for which."""

    @property
    def waits(self) -> bool:
        return self.reason.startswith(GAP_WAITS)

    def __str__(self) -> str:
        what = f"{self.symbol} {self.interval}".strip()
        waits = f", which {self.reason}" if self.waits else ""
        first = f"those since {iso(-self.first)}" if self.first < 0 else self.first
        return f"{self.table} of {what}, {first} to {self.last}{waits}"


def drain(
    it: Run, say: Callable[[str], None], stalled_s: float = STALLED_S, now: Callable[[], float] = time.monotonic
) -> list[OpenGap]:
    """Stop the capture once every gap is filled, or none was filled for `stalled_s` seconds; return the open ones.

    Raises psycopg2.Error.
    """
    wait_until_filled(lambda: [gap for gap in open_gaps(it) if not gap.waits], say, stalled_s, now, time.sleep)
    it.stop_capture()
    return open_gaps(it)


def wait_until_filled(
    look: Callable[[], list[OpenGap]],
    say: Callable[[str], None],
    stalled_s: float,
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Return when `look` finds no gap, or none has been filled for `stalled_s` seconds."""
    gaps = look()
    deadline = now() + stalled_s
    while gaps and now() < deadline:
        say(f"filling {len(gaps)} open gaps")
        sleep(LOOK_S)
        later = look()
        if set(gaps) - set(later):
            deadline = now() + stalled_s
        gaps = later


def open_gaps(it: Run) -> list[OpenGap]:
    """Return the open gaps of the symbols and streams that the feed captures now. Raises psycopg2.Error."""
    query = (
        f"SELECT table_name, symbol, interval, first, last, reason FROM {quoted(it.plan.names.schema)}.{GAPS}"  # noqa: S608
        " WHERE state = 'open' AND symbol = ANY(%s) AND table_name = ANY(%s) ORDER BY id"
    )
    wanted = list(it.applied.symbols), list(it.applied.feed.spec.streams.tables)
    connection = postgres.connect(it.servers.postgres, "run", autocommit=True)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(query, wanted)
        return [OpenGap(*row) for row in cursor.fetchall()]
