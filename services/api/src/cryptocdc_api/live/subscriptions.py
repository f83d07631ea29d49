"""Distributes new rows to clients, each with a bounded queue. Independent of Kafka and WebSockets."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

WAITING_ROWS = 5000
"""A client with this many unread rows is too slow for what it subscribed to."""

Row = tuple[str, str, bytes]
"""Table, symbol, the row as a JSON object."""


class Client:
    """One client's subscription and its unread rows. No `symbols` means all."""

    def __init__(self, tables: frozenset[str], symbols: frozenset[str], capacity: int = WAITING_ROWS) -> None:
        self.tables, self.symbols, self.capacity = tables, symbols, capacity
        self.overflowed = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def wants(self, table: str, symbol: str) -> bool:
        return table in self.tables and (not self.symbols or symbol in self.symbols)

    def put(self, row: bytes) -> bool:
        """Return False once the queue has overflowed: the client has lost a row, and no more are queued for it."""
        if len(self._waiting) >= self.capacity:
            self.overflowed.set()
        if self.overflowed.is_set():
            return False
        self._waiting.append(row)
        self._arrived.set()
        return True

    async def take(self) -> bytes:
        """Wait for rows, then return all queued ones as a JSON array."""
        await self._arrived.wait()
        self._arrived.clear()
        rows = b"[" + b",".join(self._waiting) + b"]"
        self._waiting.clear()
        return rows


class Subscriptions:
    """The clients of this process, used only on the event loop's thread. `changed` is called with the tables that any
    client wants."""

    def __init__(self, changed: Callable[[frozenset[str]], None]) -> None:
        self._clients: set[Client] = set()
        self._changed = changed

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Client) -> None:
        self._clients.add(client)
        self._changed(self._tables())

    def remove(self, client: Client) -> None:
        self._clients.discard(client)
        self._changed(self._tables())

    def publish(self, rows: Iterable[Row]) -> Counter[str]:
        """Queue the rows; return how many were queued, by table."""
        put: Counter[str] = Counter()
        for table, symbol, row in rows:
            for client in self._clients:
                if client.wants(table, symbol) and client.put(row):
                    put[table] += 1
        return put

    def _tables(self) -> frozenset[str]:
        return frozenset[str]().union(*(client.tables for client in self._clients))
