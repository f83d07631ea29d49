"""What the exchange sends of a row: heard over a connection of one's own, or asked for again.

The producer keeps no frames, so a frame of the past can't be shown. But the exchange sends the same to all who listen:
who listens before the row is captured gets its very frame.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from websockets.sync.client import connect

from cryptocdc_adapters.exchange import Rest
from cryptocdc_adapters.http_client import proxy_of
from cryptocdc_core import times
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import KLINES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.hops import Frame, Values
from cryptocdc_core.rows import Row
from cryptocdc_local.trace.places import now_us
from cryptocdc_producer import answers, frames
from cryptocdc_producer.checks import Rejected

KEPT = 20_000
"""Frames of one symbol's stream: minutes of the busiest."""
OPEN_S = 5.0
PATIENCE_S = 5.0
OWN: tuple[str, ...] = ("received_at",)
"""Of a row's columns those that each receiver fills itself."""
DATED = ("event_time", "version", *OWN)
"""Beside these those that REST's answer does not bear."""

_ROWS: dict[type[Any], Callable[[Any, int], Row]] = {
    frames.AggregateTrade: frames.trade_row,
    frames.RawTrade: frames.trade_row,
    frames.Kline: frames.kline_row,
    frames.Ticker: frames.ticker_row,
    frames.MiniTicker: frames.price_row,
}


class Listener:
    """Hears one channel, on a thread of its own, until it is closed."""

    def __init__(self, websocket_url: str, channel: str) -> None:
        self._url = f"{websocket_url.rstrip('/')}/stream?streams={channel}"
        self._heard: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._closing = threading.Event()
        self._opened = threading.Event()
        self.channel = channel
        self.since_us: int | None = None
        """When the connection was open."""
        self.problem = ""
        """Why there is none."""
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()
        self._opened.wait(OPEN_S)

    def _listen(self) -> None:
        try:
            proxy = proxy_of(self._url)
            with connect(self._url, proxy=proxy, open_timeout=OPEN_S, close_timeout=1, compression=None) as socket:
                self.since_us = now_us()
                self._opened.set()
                while not self._closing.is_set():
                    try:
                        raw = socket.recv(timeout=0.2, decode=False)
                    except TimeoutError:
                        continue
                    self._heard.append((now_us(), raw))
        except Exception as error:  # whatever an address, a resolver or a proxy makes of it
            self.problem = f"no connection to {self._url}: {error}"
        finally:
            self._opened.set()

    def __len__(self) -> int:
        return len(self._heard)

    def frame_of(self, stream: Stream, row: Values) -> Frame | None:
        """The frame that made the row, the last one where several did; None when it was not heard."""
        for received_us, raw in reversed(list(self._heard)):
            try:
                event = frames.decode(raw)
            except Rejected:
                continue
            if isinstance(event, frames.Depth):
                if event.last_id == row["last_update_id"]:  # the book's diff that completed the row
                    return Frame(raw.decode(), self.channel, received_us, None)
                continue
            values = _values(stream, event, received_us // 1000)
            if values is not None and all(values[name] == row[name] for name in (*stream.key, "version")):
                return Frame(raw.decode(), self.channel, received_us, _without(values, OWN))
        return None

    def close(self) -> None:
        self._closing.set()
        self._thread.join(2)


def _values(stream: Stream, event: object, now_ms: int) -> Values | None:
    make = _ROWS.get(type(event))
    try:
        row = None if make is None else make(event, now_ms)
    except Rejected:
        return None
    return None if row is None or row.stream is not stream else msgspec.structs.asdict(row)


def _without(values: Values, names: tuple[str, ...]) -> Values:
    return {name: value for name, value in values.items() if name not in names}


def asked_again(feed: CryptoFeed, stream: Stream, row: Values, rest_url: str) -> Frame | str:
    """What the exchange says of a row of the past, over REST; or why it can't be asked. Raises ExchangeError."""
    rest = Rest(rest_url, patience_s=PATIENCE_S)
    symbol, now_ms = row["symbol"], times.now_ms()
    trades = feed.spec.streams.recent_trades
    if stream is RECENT_TRADES and trades is not None and trades.kind == "aggregate":
        path, values = f"aggTrades?symbol={symbol}&fromId={row['trade_id']}&limit=1", OWN
        body = rest.get("aggTrades", 4, symbol=symbol, fromId=row["trade_id"], limit=1)
        rows: Sequence[Row] = answers.aggregate_trades(symbol, body, now_ms).rows
    elif stream is KLINES and row["closed"]:
        # Two, since an answer's last candle counts as open.
        path, values = f"klines?symbol={symbol}&interval={row['interval']}&startTime={row['open_time']}&limit=2", DATED
        body = rest.get(
            "klines", 2, symbol=symbol, interval=row["interval"], startTime=row["open_time"], limit=2
        )  # fmt: skip
        rows = answers.klines(symbol, row["interval"], body, now_ms).rows[:1]
    else:
        return "the producer keeps no frames, and the exchange tells of this one no more"
    if not rows:
        return f"the exchange has nothing to say to {path}"
    return Frame(body.decode(), path, now_us(), _without(msgspec.structs.asdict(rows[0]), values))


def why_none(stream: Stream, source: str) -> str:
    """Why no frame of a stream that comes by REST is shown."""
    if stream is ORDER_BOOK:
        return "it comes by REST; the producer keeps no answers, and the book has changed since"
    return f"it comes by {source}; the producer keeps no answers, and one asked for now would be another"
