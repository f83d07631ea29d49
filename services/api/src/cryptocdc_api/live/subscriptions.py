"""Who gets which new rows: clients, each with a bounded queue. Knows neither Kafka nor WebSockets."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable

WAITING_ROWS = 5000
"""A client that has not taken that many rows is too slow for what it asked for."""

Row = tuple[str, str, bytes]
"""Table, symbol, the row as a JSON object."""


class Client:
    """What one client asked for, and the rows that wait for it. `symbols` empty: all."""

    def __init__(self, tables: frozenset[str], symbols: frozenset[str], capacity: int = WAITING_ROWS) -> None:
        self.tables, self.symbols, self.capacity = tables, symbols, capacity
        self.overflowed = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def wants(self, table: str, symbol: str) -> bool:
        return table in self.tables and (not self.symbols or symbol in self.symbols)

    def put(self, row: bytes) -> bool:
        """False once the queue has overflowed: from then on nothing is kept for the client, who has lost a row."""
        if len(self._waiting) >= self.capacity:
            self.overflowed.set()
        if self.overflowed.is_set():
            return False
        self._waiting.append(row)
        self._arrived.set()
        return True

    async def take(self) -> bytes:
        """A JSON array of all the rows that wait, once there are any."""
        await self._arrived.wait()
        self._arrived.clear()
        rows = b"[" + b",".join(self._waiting) + b"]"
        self._waiting.clear()
        return rows


class Subscriptions:
    """The clients of this process. For the event loop's thread alone; `changed` is told which tables are wanted."""

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
        """How many rows were put into queues, by table."""
        put: Counter[str] = Counter()
        for table, symbol, row in rows:
            for client in self._clients:
                if client.wants(table, symbol) and client.put(row):
                    put[table] += 1
        return put

    def _tables(self) -> frozenset[str]:
        return frozenset[str]().union(*(client.tables for client in self._clients))
