"""When trades can be read in Cassandra: a measure that is the same for everything that writes them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bench.pipeline.pipelines import LIMIT_S, SYMBOLS, wait_until

POLL_S = 0.002
_STATEMENT = "SELECT trade_id FROM {}.recent_trades WHERE symbol = ? AND hour = ? AND trade_time = ? AND trade_id = ?"


class Key(NamedTuple):
    symbol: str
    hour: datetime
    trade_time: datetime
    trade_id: int


class Watch:
    """Polls Cassandra for the last trade of each commit."""

    def __init__(self, visible: Visible) -> None:
        self.latencies_ms: list[float] = []
        """From the commit to the first time that the trade was read, in the order in which they were."""
        self._visible = visible
        self._pending: dict[Key, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def committed(self, text: str) -> None:
        """Watch for the last trade of a commit that has just been acknowledged."""
        self._pending[keys_of(text)[-1]] = time.monotonic()

    def _run(self) -> None:
        while not (self._stop.is_set() and not self._pending):
            for key in self._visible.found(list(self._pending)):
                self.latencies_ms.append((time.monotonic() - self._pending.pop(key)) * 1000)
            time.sleep(POLL_S)


class Visible:
    def __init__(self, session: Any, keyspace: str) -> None:
        self._session = session
        self._keyspace = keyspace
        self._statement: Any = None

    def found(self, keys: list[Key]) -> list[Key]:
        """Return those of the keys whose trades can be read."""
        if self._statement is None:
            self._statement = self._session.prepare(_STATEMENT.format(self._keyspace))
        futures = [(key, self._session.execute_async(self._statement, key)) for key in keys]
        return [key for key, future in futures if future.result().one() is not None]

    def wait(self, text: str) -> None:
        """Wait until the last trade of each symbol in `text` can be read. Raises TimeoutError."""
        keys = {key.symbol: key for key in keys_of(text)}
        pending = list(keys.values())

        def all_found() -> bool:
            found = set(self.found(pending))
            pending[:] = [key for key in pending if key not in found]
            return not pending

        wait_until("the last rows in Cassandra", all_found)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        """Watch commits during the block, and at its end wait for those that are still to come."""
        watch = Watch(self)
        watch._thread.start()
        yield watch
        watch._stop.set()
        watch._thread.join(LIMIT_S)


def keys_of(text: str) -> list[Key]:
    """Return the keys of the last trades in COPY's text, at most one for each symbol."""
    keys = []
    for line in text.splitlines()[-len(SYMBOLS) :]:
        symbol, when, trade_id, *_ = line.split("\t")
        at = datetime.fromisoformat(when).replace(tzinfo=UTC)
        keys.append(Key(symbol, at.replace(minute=0, second=0, microsecond=0), at, int(trade_id)))
    return keys
