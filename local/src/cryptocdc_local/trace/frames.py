"""The exchange's frame of a row: received over the tracer's own connection, or requested again.

The producer keeps no frames, so an old frame can't be shown. But the exchange sends the same frames to every client, so
a tracer that is connected before the row is captured receives its frame, too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from websockets.sync.client import connect

from cryptocdc_adapters.exchange.rest import Rest
from cryptocdc_adapters.http_client import proxy_of
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import KLINES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.rows.hops import Frame, Values
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.time import times
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import BookUpdate, Channel, Control, Event, Request, Rows, Venue
from cryptocdc_local.trace.places import now_us

KEPT = 20_000
"""Frames kept of one symbol's stream: minutes of the busiest one."""
OPEN_S = 5.0
PATIENCE_S = 5.0
OWN: tuple[str, ...] = ("received_at",)
"""The columns of a row that each receiver fills itself."""
DATED = ("event_time", "version", *OWN)
"""These, and the columns that a REST response does not contain."""


class Listener:
    """Receives the channels of one path in its own thread until closed."""

    def __init__(self, venue: Venue, feed: CryptoFeed, channels: Sequence[Channel]) -> None:
        self._url = venue.hosts.websocket + channels[0].path
        self._channels, self._decode = venue.channels, venue.frames.decoder(feed.spec.streams)
        self._heard: deque[tuple[int, bytes, Sequence[Event]]] = deque(maxlen=KEPT)
        """When (us), the frame, and what it said when it came: that can depend on those before it."""
        self._closing = threading.Event()
        self._opened = threading.Event()
        self._names = [channel.name for channel in channels]
        self.channel = self._names[0]
        """Whose frames make the rows; what the others bring is joined to them."""
        self.since_us: int | None = None
        """When the connection was established."""
        self.problem = ""
        """Why there is no connection."""
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()
        self._opened.wait(OPEN_S)

    def _listen(self) -> None:
        try:
            proxy = proxy_of(self._url)
            with connect(self._url, proxy=proxy, open_timeout=OPEN_S, close_timeout=1, compression=None) as socket:
                socket.send(self._channels.subscribe(1, self._names))
                self.since_us = now_us()
                self._opened.set()
                pinged, limits = time.monotonic(), self._channels.limits
                while not self._closing.is_set():
                    if limits.ping is not None and time.monotonic() - pinged > limits.ping_every_s:
                        socket.send(limits.ping)
                        pinged = time.monotonic()
                    try:
                        raw = socket.recv(timeout=0.2, decode=False)
                    except TimeoutError:
                        continue
                    if events := self._events(raw):
                        self._heard.append((now_us(), raw, events))
        except Exception as error:  # addresses, resolvers and proxies fail in many ways
            self.problem = f"no connection to {self._url}: {error}"
        finally:
            self._opened.set()

    def __len__(self) -> int:
        return len(self._heard)

    def frame_of(self, stream: Stream, row: Values) -> Frame | None:
        """Return the frame of the row, the last one if there are several; None if it was not received."""
        for received_us, raw, events in reversed(list(self._heard)):
            for event in events:
                found = _row(event, received_us // 1000)
                if isinstance(found, BookUpdate):
                    if found.last_id == row.get("last_update_id"):  # the update that completed the row
                        return Frame(raw.decode(), self.channel, received_us, None)
                elif found is not None and found.stream is stream:
                    values = msgspec.structs.asdict(found)
                    numbered = row.get("update_id") is not None
                    # A quote may have no time but that of its receiver: its update identifies it.
                    same, own = (("update_id",), DATED) if numbered else ((*stream.key, "version"), OWN)
                    if all(values[name] == row[name] for name in same):
                        return Frame(raw.decode(), self.channel, received_us, _without(values, own))
        return None

    def _events(self, raw: bytes) -> Sequence[Event]:
        """Return what a frame says of the market: nothing if it is not data."""
        try:
            found = self._decode(raw)
        except Rejected:
            return ()
        return () if isinstance(found, Control) else found

    def close(self) -> None:
        self._closing.set()
        self._thread.join(2)


def _row(event: Event, now_ms: int) -> Row | BookUpdate | None:
    try:
        return event.row(now_ms)
    except Rejected:
        return None


def channels_of(venue: Venue, feed: CryptoFeed, stream: Stream, known: Values) -> list[Channel]:
    """Return the channels that together bring the rows with these values, none if they come by REST."""
    wanted = feed.spec.streams
    if stream is KLINES and wanted.klines is not None and "interval" in known:
        wanted = wanted.model_copy(
            update={"klines": wanted.klines.model_copy(update={"intervals": [known["interval"]]})}
        )  # fmt: skip
    channels = venue.channels.of(wanted, known["symbol"])
    return [channel for channel in channels if stream.table in channel.tables]


def _without(values: Values, names: tuple[str, ...]) -> Values:
    return {name: value for name, value in values.items() if name not in names}


def requested_again(feed: CryptoFeed, stream: Stream, row: Values, venue: Venue) -> Frame | str:
    """Return what the exchange now returns for an existing row over REST, or why it can't. Raises ExchangeError."""
    rest = Rest(venue, patience_s=PATIENCE_S)
    trades = feed.spec.streams.recent_trades
    request: Request[Rows[Any]]
    if stream is RECENT_TRADES and trades is not None and venue.gives_by_id(trades.kind):
        request, own = venue.requests.trades(row["symbol"], trades.kind, row["trade_id"], 1), OWN
    elif stream is KLINES and row["closed"]:
        # Two, since the last candle of a response counts as open.
        request, own = venue.requests.klines(row["symbol"], row["interval"], row["open_time"], 2), DATED
    else:
        return "the producer keeps no frames, and the exchange no longer provides this one"
    path = f"{request.path}?{urlencode(request.params)}"
    body = rest.get(request)
    rows = [msgspec.structs.asdict(found) for found in request.read(body, times.now_ms()).rows]
    found = next((it for it in rows if all(it[name] == row[name] for name in stream.key)), None)
    if found is None:
        return f"the exchange returns nothing for {path}"
    return Frame(body.decode(), path, now_us(), _without(found, own))


def why_none(stream: Stream, source: str) -> str:
    """Return why there is no frame to show for a stream over REST or from a capture."""
    if stream is ORDER_BOOK:
        return "it was requested over REST; the producer keeps no responses, and the book has changed since"
    return f"it comes from {source}; the producer keeps no responses, and a new one would differ"
