"""The application without a server: requests and WebSockets as ASGI messages, tables in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from cryptocdc_adapters.metrics.figures import FeedFigures, StreamFigures
from cryptocdc_api.app import build_app
from cryptocdc_api.context import Context
from cryptocdc_api.live.subscriptions import Subscriptions
from cryptocdc_api.reading.paging import Position, Read, Row, position
from cryptocdc_api.reading.tables import Table
from cryptocdc_api.refusals import Unavailable
from cryptocdc_core.catalogue import STREAMS, Derived, Stream
from cryptocdc_core.feed.model import parse
from cryptocdc_core.program.metrics import ApiMetrics
from cryptocdc_core.program.settings import ApiSettings
from cryptocdc_core.rows.hops import Written

FEED = {
    "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "majors"},
    "spec": {
        "exchange": "simulated", "symbols": {"names": ["BTCUSDT", "ETHUSDT"]},
        "streams": {
            "recentTrades": {}, "klines": {"intervals": ["1m", "1h"]}, "crypto24hStats": {}, "latestPrices": {},
            "orderBook": {}, "bestQuotes": {}, "markPrices": {}, "openInterest": {}, "liquidations": {},
        },
        "analytics": {
            "bars": ["5s", "1m"], "bookMetrics": True, "volatility": ["1m"], "anomalies": ["1m"], "forecasts": ["1m"],
        },
    },
}  # fmt: skip


class Tables:
    """Replaces the reader; `rows` by table, each in the order of the table's columns."""

    def __init__(self, rows: MutableMapping[str, list[Row]]) -> None:
        self.rows = rows
        self.ones: dict[tuple[Any, ...], Written] = {}
        """By table and the key's values."""
        self.up = True
        self.reads = 0

    def of(self, table: Table, prefix: Sequence[Any], newest_first: bool) -> Read:
        names = [column.name for column in table.columns]
        places = [names.index(name) for name in table.partition]

        async def read(bucket: int, low: Position, high: Position, limit: int) -> list[Row]:
            self._count()
            found = [
                row for row in self.rows.get(table.name, ())
                if [row[place] for place in places] == list(prefix)
                and table.bucket.floor(position(table, row)[0]) == bucket and low < position(table, row) < high
            ]  # fmt: skip
            return sorted(found, key=lambda row: position(table, row), reverse=newest_first)[:limit]

        return read

    async def whole(self, derived: Derived) -> list[Row]:
        self._count()
        return [(0, *row) for row in self.rows.get(derived.table, ())]

    async def one(self, stream: Stream, key: Mapping[str, Any]) -> Written | None:
        self._count()
        return self.ones.get((stream.table, *(key[name] for name in stream.key)))

    async def answers(self) -> bool:
        return self.up

    def _count(self) -> None:
        self.reads += 1
        if not self.up:
            raise Unavailable("Cassandra: NoHostAvailable")


class NoRecords:
    """A Kafka without records."""

    def find(self, *_: Any, **__: Any) -> None:
        return None


class NoReadings:
    """A feed whose programs report no figures."""

    def read(self) -> FeedFigures:
        nothing = StreamFigures(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, None, None, None)
        return FeedFigures(
            streams={stream.table: nothing for stream in STREAMS.values()}, gaps_open=0, gap_rows_filled=0,
            gap_rows_unfillable=0, dead_letters=0, rejected=0, outage_s=0.0, symbols=0, halted=(), weight_used=0,
            weight_limit=0, differences=0, programs=0,
        )  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Api:
    """An application over `tables`."""

    tables: Tables = field(default_factory=lambda: Tables({}))
    settings: dict[str, Any] = field(default_factory=dict)
    streams: Sequence[str] = tuple(STREAMS)
    source: Any = "simulated"
    finder: Any = field(default_factory=NoRecords)

    def __post_init__(self) -> None:
        document: Any = msgspec.json.decode(msgspec.json.encode(FEED))
        spec = document["spec"]
        spec["streams"] = {name: value for name, value in spec["streams"].items() if name in self.streams}
        if not {"recentTrades", "orderBook"} <= set(self.streams):
            del spec["analytics"]
        self.metrics = ApiMetrics("test")
        context = Context(parse(document), self.source, self.tables, self.metrics)  # type: ignore[arg-type]
        self.subscriptions = Subscriptions(lambda _: None)
        settings, readings = ApiSettings(**self.settings), NoReadings()
        self.app = build_app(context, settings, readings, self.subscriptions, self.finder, _nothing)  # type: ignore[arg-type]

    def get(self, url: str, headers: Mapping[str, str] | None = None, client: str = "10.0.0.1", **query: Any) -> Answer:
        """`query`: `from_` is sent as `from`."""
        return asyncio.run(self.ask(url, headers, client, **query))

    async def ask(
        self, url: str, headers: Mapping[str, str] | None = None, client: str = "10.0.0.1", **query: Any
    ) -> Answer:
        scope = _scope("http", url, headers, client, query)
        sent: list[MutableMapping[str, Any]] = []
        received = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> MutableMapping[str, Any]:
            message = next(received, None)
            if message is None:  # the client stays connected until it has its response
                await asyncio.Event().wait()
            assert message is not None
            return message

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(part.get("body", b"") for part in rest))

    @contextlib.asynccontextmanager
    async def socket(self, url: str, **scope: Any) -> AsyncIterator[Socket]:
        """A WebSocket, open within the block unless it was refused."""
        asked = {**_scope("websocket", url, scope.pop("headers", None), "10.0.0.1", {}), "subprotocols": [], **scope}
        socket = Socket()
        await socket.incoming.put({"type": "websocket.connect"})
        serving = asyncio.create_task(self.app(asked, socket.incoming.get, socket.sent.put))
        try:
            yield socket
        finally:
            await socket.incoming.put({"type": "websocket.disconnect", "code": 1000})
            await asyncio.wait_for(serving, 5)


class Socket:
    """The client's end."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()

    async def message(self) -> dict[str, Any]:
        found: dict[str, Any] = await asyncio.wait_for(self.sent.get(), 5)
        return found

    async def json(self) -> Any:
        return msgspec.json.decode((await self.message())["text"])


def _scope(kind: str, url: str, headers: Mapping[str, str] | None, client: str, query: Mapping[str, Any]) -> Any:
    split = urlsplit(url)
    asked = urlencode({name.rstrip("_"): value for name, value in query.items()}) or split.query
    return {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": split.path, "raw_path": split.path.encode(), "root_path": "", "query_string": asked.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": (client, 50_000), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip


@contextlib.asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
