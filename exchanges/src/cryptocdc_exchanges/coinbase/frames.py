"""Frames of Coinbase Exchange's WebSocket feed.

Shapes: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, and of errors and acknowledgements
https://docs.cdp.coinbase.com/exchange/websocket-feed/overview. Each type of message is decoded in one pass directly
into its own structure; a frame that fits none is examined again to report why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from cryptocdc_core.catalogue.streams import BEST_QUOTES, CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.checks import Id, Rejected, amounts
from cryptocdc_exchanges.coinbase import channels, payloads
from cryptocdc_exchanges.coinbase.payloads import Level, Moment, milliseconds
from cryptocdc_exchanges.port import BookUpdate, Control, Decode, Event, Reply

MAX_FRAME_BYTES = 8 * 1024 * 1024
"""A snapshot is the whole book: those of the busiest products have some megabytes."""
_REFUSALS = ("Failed to subscribe", "Failed to unsubscribe")
_REFUSED_PRODUCT = re.compile(r"([^\s,]+-[^\s,]+) is ")
"""As in "XYZ-USD is not a valid product"."""


class Match(payloads.Trade, gc=False, tag_field="type", tag="match", rename={"symbol": "product_id", "id": "trade_id"}):
    symbol: str

    table: ClassVar[str] = RECENT_TRADES.table

    def row(self, now_ms: int) -> RecentTradesRow:
        return self.row_of(self.symbol, now_ms)


class LastMatch(Match, gc=False, tag_field="type", tag="last_match"):
    """The last match before the subscription, sent first: it reveals immediately what was missed before."""


class Ticker(
    msgspec.Struct, gc=False, tag_field="type", tag="ticker",
    rename={"symbol": "product_id", "last": "price", "open": "open_24h", "high": "high_24h", "low": "low_24h",
            "volume": "volume_24h", "bid": "best_bid", "bid_size": "best_bid_size", "ask": "best_ask",
            "ask_size": "best_ask_size"},
):  # fmt: skip
    """Sent with each match. Frames of 2021 have no sizes of the best bid and ask."""

    symbol: str
    sequence: Id
    last: str
    open: str
    high: str
    low: str
    volume: str
    last_size: str
    bid: str
    ask: str
    time: Moment
    bid_size: str | None = None
    ask_size: str | None = None


class Stats(msgspec.Struct, gc=False):
    ticker: Ticker

    table: ClassVar[str] = CRYPTO_24H_STATS.table

    @property
    def symbol(self) -> str:
        return self.ticker.symbol

    def row(self, now_ms: int) -> Crypto24hStatsRow:
        ticker = self.ticker
        sizes = [size for size in (ticker.bid_size, ticker.ask_size) if size is not None]
        amounts([ticker.last, ticker.open, ticker.high, ticker.low, ticker.volume, ticker.last_size, ticker.bid,
                 ticker.ask, *sizes])  # fmt: skip
        time_ms = milliseconds(ticker.time, now_ms)
        return Crypto24hStatsRow(
            symbol=ticker.symbol, event_time=time_ms, price_change=None, price_change_percent=None,
            weighted_avg_price=None, open_price=ticker.open, high_price=ticker.high, low_price=ticker.low,
            last_price=ticker.last, last_quantity=ticker.last_size, bid_price=ticker.bid, bid_quantity=ticker.bid_size,
            ask_price=ticker.ask, ask_quantity=ticker.ask_size, volume=ticker.volume, quote_volume=None, open_time=None,
            close_time=None, trade_count=None, received_at=now_ms, version=version(time_ms),
        )  # fmt: skip


class Price(msgspec.Struct, gc=False):
    ticker: Ticker

    table: ClassVar[str] = LATEST_PRICES.table

    @property
    def symbol(self) -> str:
        return self.ticker.symbol

    def row(self, now_ms: int) -> LatestPricesRow:
        amounts((self.ticker.last,))
        time_ms = milliseconds(self.ticker.time, now_ms)
        return LatestPricesRow(
            symbol=self.symbol, event_time=time_ms, price=self.ticker.last, received_at=now_ms, version=version(time_ms)
        )


class Quote(msgspec.Struct, gc=False):
    """The best bid and ask right after a match: no channel reports changes between matches."""

    ticker: Ticker

    table: ClassVar[str] = BEST_QUOTES.table

    @property
    def symbol(self) -> str:
        return self.ticker.symbol

    def row(self, now_ms: int) -> BestQuotesRow:
        ticker = self.ticker
        sizes = [size for size in (ticker.bid_size, ticker.ask_size) if size is not None]
        amounts((ticker.bid, ticker.ask, *sizes))
        time_ms = milliseconds(ticker.time, now_ms)
        (bid, bid_size), (ask, ask_size) = (
            side if side[0].strip("0.") else (None, None)  # a side without orders has a price of zero
            for side in ((ticker.bid, ticker.bid_size), (ticker.ask, ticker.ask_size))
        )
        return BestQuotesRow(
            symbol=ticker.symbol, event_time=time_ms, update_id=ticker.sequence, bid_price=bid, bid_quantity=bid_size,
            ask_price=ask, ask_quantity=ask_size, received_at=now_ms, version=version(time_ms),
        )  # fmt: skip


_OF_TICKER: dict[str, type[Stats | Price | Quote]] = {kind.table: kind for kind in (Stats, Price, Quote)}


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot", rename={"symbol": "product_id"}):
    """Frames of 2021 have no time."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    time: Moment | None = None

    table: ClassVar[str] = ORDER_BOOK.table

    def row(self, now_ms: int) -> BookUpdate:
        time_ms = None if self.time is None else milliseconds(self.time, now_ms)
        return BookUpdate(
            symbol=self.symbol, event_time=now_ms if time_ms is None else time_ms, first_id=0, last_id=time_ms or 0,
            bids=payloads.levels(self.bids), asks=payloads.levels(self.asks), snapshot=True, numbered=False,
        )  # fmt: skip


class Change(msgspec.Struct, array_like=True, gc=False):
    """The new size of a level, zero if it was removed."""

    side: Literal["buy", "sell"]
    price: str
    size: str


class Changes(msgspec.Struct, tag_field="type", tag="l2update", rename={"symbol": "product_id"}):
    symbol: str
    changes: list[Change]
    time: Moment

    table: ClassVar[str] = ORDER_BOOK.table

    def row(self, now_ms: int) -> BookUpdate:
        amounts([text for change in self.changes for text in (change.price, change.size)])
        time_ms = milliseconds(self.time, now_ms)
        bids, asks = (
            [(change.price, change.size) for change in self.changes if change.side == side] for side in ("buy", "sell")
        )
        return BookUpdate(
            symbol=self.symbol, event_time=time_ms, first_id=time_ms, last_id=time_ms, bids=bids, asks=asks,
            numbered=False,
        )  # fmt: skip


_frames = msgspec.json.Decoder(Match | LastMatch | Ticker | Snapshot | Changes)
_TYPES = frozenset({"match", "last_match", "ticker", "snapshot", "l2update"})


def decoder(streams: Streams) -> Decode:
    """Messages for which the feed has no stream are refused."""
    of_ticker = [_OF_TICKER[table] for table in channels.of_ticker(streams)]
    tables = {
        table
        for table, it in ((RECENT_TRADES.table, streams.recent_trades), (ORDER_BOOK.table, streams.order_book))
        if it is not None
    }

    def decode(frame: bytes) -> Sequence[Event] | Control:
        if len(frame) > MAX_FRAME_BYTES:
            raise Rejected("oversize", f"{len(frame)} bytes; {MAX_FRAME_BYTES} are accepted")
        try:
            event = _frames.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _look_again(frame, str(error))
        if isinstance(event, Ticker):
            if of_ticker:
                return [kind(event) for kind in of_ticker]
        elif event.table in tables:
            return (event,)
        raise Rejected("unknown-event", f"{type(event).__name__} was not asked for")

    return decode


def _look_again(frame: bytes, problem: str) -> Reply:
    """Return the meaning of a frame without data. Raises Rejected."""
    try:
        document: Any = msgspec.json.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("invalid-json", str(error)) from None
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "subscriptions":
        return Reply()  # it lists all remaining subscriptions, but not the ended ones
    if kind == "error":
        problem, reason = str(document.get("message")), str(document.get("reason"))
        if not problem.startswith(_REFUSALS):
            raise Rejected("error-body", f"{problem}: {reason}")
        product = _REFUSED_PRODUCT.match(reason)
        names = None if product is None else frozenset(channels.named(it, product[1]) for it in channels.ALL)
        return Reply(f"{problem}: {reason}", None, names)
    if isinstance(kind, str) and kind in _TYPES:
        raise Rejected("wrong-field", problem)
    if kind is None and isinstance(document, dict) and "message" in document:
        raise Rejected("error-body", str(document["message"]))
    raise Rejected("unknown-event", problem)
