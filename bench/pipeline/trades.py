"""Random trades as text for PostgreSQL's COPY, and their insertion."""

from __future__ import annotations

import io
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bench.pipeline.pipelines import SYMBOLS
from cryptocdc_core.names import quoted

ROWS_PER_COMMIT = 5_000
_ids = itertools.count(1)
_random = random.Random(1)


def random_trades(count: int, symbols: Sequence[str] = SYMBOLS) -> str:
    """Return `count` trades with the current time, as text for COPY; ids continue from call to call."""
    at_ms = int(time.time() * 1000)
    lines = []
    for number in range(count):
        event_ms = at_ms + number // 50
        when = datetime.fromtimestamp(event_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        trade = next(_ids)
        price = f"{30_000 + _random.randrange(200_000) / 100:.2f}000000"
        quantity = f"{_random.randrange(1, 500_000) / 100_000:.5f}000"
        row = (symbols[trade % len(symbols)], when, trade, price, quantity, trade, trade, "t", when, event_ms * 1000)
        lines.append("\t".join(map(str, row)))
    return "\n".join(lines) + "\n"


def commits(count: int, symbols: Sequence[str] = SYMBOLS) -> list[str]:
    """Return the text of `count` trades, one string per commit."""
    full, rest = divmod(count, ROWS_PER_COMMIT)
    return [random_trades(rows, symbols) for rows in (*[ROWS_PER_COMMIT] * full, rest) if rows]


def copy(database: object, schema: str, text: str) -> None:
    """Insert the rows in one transaction."""
    with database, database.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.copy_expert(f"COPY {quoted(schema)}.recent_trades FROM STDIN", io.StringIO(text))


def paced(seconds: float, rows_per_s: int, commits_per_s: int) -> Iterator[str]:
    """Yield the text of each commit when it is due."""
    began = time.monotonic()
    for number in range(int(seconds * commits_per_s)):
        text = random_trades(rows_per_s // commits_per_s)
        time.sleep(max(0.0, began + number / commits_per_s - time.monotonic()))
        yield text
