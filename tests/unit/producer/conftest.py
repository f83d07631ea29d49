"""Shared by the producer's tests: a feed, and a capture whose effects are all recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Control, Venue
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.storage.intake import Data, Entry, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.streams.handler import Outlets, Refuse
from cryptocdc_producer.streams.handlers import Handlers
from cryptocdc_producer.streams.order_books import OrderBooks
from cryptocdc_producer.streams.trades import Trades

# These run beside servers on a small machine, where any example may be slow.
hypothesis.settings.register_profile("beside-servers", deadline=None, max_examples=50)
hypothesis.settings.load_profile("beside-servers")

BINANCE = VENUES["binance"]
NOW = 1_780_315_200_000  # 2026-06-01 12:00:00 UTC

ALL_STREAMS: dict[str, Any] = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "klines": {"source": "websocket", "intervals": ["1m", "1h"]},
    "crypto24hStats": {"source": "websocket"},
    "latestPrices": {"source": "websocket"},
    "orderBook": {"source": "websocket", "depth": 5, "interval": "1s"},
    "bestQuotes": {"interval": "100ms"},
}


def make_feed(streams: dict[str, Any] | None = None, **spec: Any) -> CryptoFeed:
    return feeds.parse(
        {
            "apiVersion": "cryptocdc.io/v1alpha1",
            "kind": "CryptoFeed",
            "metadata": {"name": "unit"},
            "spec": {
                "symbols": {"names": ["BTCUSDT", "ETHUSDT"]},
                "streams": streams or ALL_STREAMS,
                "history": {"klines": "0s"},
                **spec,
            },
        }
    )


@dataclass
class Recorded:
    """A capture and its recorded effects."""

    capture: Capture
    handlers: Handlers
    intake: Intake
    feed: CryptoFeed
    gaps: list[Gap]
    lost_books: list[tuple[str, str]]
    refused: list[tuple[str, str]]

    @property
    def trades(self) -> Trades:
        assert self.handlers.trades is not None
        return self.handlers.trades

    @property
    def books(self) -> OrderBooks:
        assert self.handlers.order_books is not None
        return self.handlers.order_books

    def receive(self, data: dict[str, Any] | bytes) -> Control | None:
        return self.capture.receive(data if isinstance(data, bytes) else frame(data))

    def entries(self) -> list[Entry]:
        """Return what the writer would get next."""
        return self.intake.take(0.01)

    def rows(self, table: str) -> list[Any]:
        return [it.row for it in self.entries() if isinstance(it, Data) and it.row.stream.table == table]


def frame(data: dict[str, Any]) -> bytes:
    """Return a frame as a combined stream sends it."""
    name = "any" if "e" in data else "bookTicker"
    return json.dumps({"stream": f"{data.get('s', 'x').lower()}@{name}", "data": data}).encode()


def handlers_of(
    feed: CryptoFeed,
    intake: Intake,
    gaps: list[Gap] | None = None,
    lost_books: list[tuple[str, str]] | None = None,
    refuse: Refuse = lambda *_: None,
    venue: Venue = BINANCE,
) -> Handlers:
    found_gaps, found_books = [] if gaps is None else gaps, [] if lost_books is None else lost_books
    outlets = Outlets(
        intake, ProducerMetrics("test"), found_gaps.append, lambda *lost: found_books.append(lost), refuse
    )  # fmt: skip
    return Handlers(feed, venue, outlets)


def make_capture(feed: CryptoFeed | None = None, venue: Venue = BINANCE, /, **stored: Stored) -> Recorded:
    metrics = ProducerMetrics("test")
    intake = Intake(metrics)
    gaps: list[Gap] = []
    lost_books: list[tuple[str, str]] = []
    refused: list[tuple[str, str]] = []
    feed = feed or make_feed()

    def refuse(reason: str, _: str, __: bytes, symbol: str | None) -> None:
        refused.append((reason, symbol or ""))

    handlers = handlers_of(feed, intake, gaps, lost_books, refuse, venue)
    capture = Capture(feed, venue, handlers, metrics, refuse)
    found = Recorded(capture, handlers, intake, feed, gaps, lost_books, refused)
    for symbol in feed.spec.symbols.names or ():
        found.capture.add(symbol, stored.get(symbol, Stored()))
    return found


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr("cryptocdc_producer.capture.time.time_ns", lambda: NOW * 1_000_000)
    return make_capture()


def agg_trade(id: int = 7, symbol: str = "BTCUSDT", **changed: Any) -> dict[str, Any]:
    return {
        "e": "aggTrade", "E": NOW, "s": symbol, "a": id, "p": "96000.12000000", "q": "0.00100000", "f": id * 2,
        "l": id * 2 + 1, "T": NOW - 5, "m": True, "M": True, **changed,
    }  # fmt: skip


def kline(
    open_time: int, closed: bool, interval: str = "1m", symbol: str = "BTCUSDT", **changed: Any
) -> dict[str, Any]:
    length = {"1m": 60_000, "1h": 3_600_000}[interval]
    candle = {
        "t": open_time, "T": open_time + length - 1, "s": symbol, "i": interval, "f": 1, "L": 2, "o": "1.0", "c": "1.5",
        "h": "2.0", "l": "0.5", "v": "10.00", "n": 2, "x": closed, "q": "12.0", "V": "4.0", "Q": "5.0", "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": min(NOW, open_time + length), "s": symbol, "k": {**candle, **changed}}


def ticker(symbol: str = "BTCUSDT", **changed: Any) -> dict[str, Any]:
    numbers = dict.fromkeys("wxcQbBaAohlvq", "1.50")
    return {
        "e": "24hrTicker", "E": NOW, "s": symbol, "p": "-0.50", "P": "-1.250", **numbers, "O": NOW - 86_400_000,
        "C": NOW, "F": 1, "L": 9, "n": 9, **changed,
    }  # fmt: skip


def book_ticker(update_id: int = 5, **changed: Any) -> dict[str, Any]:
    """It has neither a kind nor a time."""
    return {"u": update_id, "s": "BTCUSDT", "b": "1.50", "B": "2.0", "a": "1.60", "A": "3.0"} | changed


def depth(
    first: int, last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]], at: int = NOW,
    symbol: str = "BTCUSDT",
) -> dict[str, Any]:  # fmt: skip
    return {"e": "depthUpdate", "E": at, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
