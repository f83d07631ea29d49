"""Trades to carry, as rows of PostgreSQL's COPY, and how they are put there."""

from __future__ import annotations

import io
import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bench.stack import SYMBOLS
from cryptocdc_core.names import quoted

ROWS_A_COMMIT = 5_000
_ids = itertools.count(1)
_random = random.Random(1)


def made(count: int) -> str:
    """`count` trades of now, as text for COPY; ids go on from call to call."""
    at_ms = int(time.time() * 1000)
    lines = []
    for number in range(count):
        event_ms = at_ms + number // 50
        when = datetime.fromtimestamp(event_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        trade = next(_ids)
        price = f"{30_000 + _random.randrange(200_000) / 100:.2f}000000"
        quantity = f"{_random.randrange(1, 500_000) / 100_000:.5f}000"
        row = (SYMBOLS[trade % len(SYMBOLS)], when, trade, price, quantity, trade, trade, "t", when, event_ms * 1000)
        lines.append("\t".join(map(str, row)))
    return "\n".join(lines) + "\n"


def commits(count: int) -> list[str]:
    """The text of `count` trades, a string for each commit."""
    full, rest = divmod(count, ROWS_A_COMMIT)
    return [made(rows) for rows in (*[ROWS_A_COMMIT] * full, rest) if rows]


def copy(database: object, schema: str, text: str) -> None:
    """One transaction."""
    with database, database.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.copy_expert(f"COPY {quoted(schema)}.recent_trades FROM STDIN", io.StringIO(text))


def paced(seconds: float, rows_a_second: int, commits_a_second: int) -> Iterator[str]:
    """Text for one commit after another, each when it is due."""
    began = time.monotonic()
    for number in range(int(seconds * commits_a_second)):
        text = made(rows_a_second // commits_a_second)
        time.sleep(max(0.0, began + number / commits_a_second - time.monotonic()))
        yield text
