"""Frames of OKX's WebSocket channels.

Shapes: https://www.okx.com/docs-v5/en/#order-book-trading-market-data and, of acknowledgements, errors and notices,
https://www.okx.com/docs-v5/en/#overview-websocket. The argument of a frame says what its data are, so these are decoded
in a second pass; what fits none is looked at again to say why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import msgspec

from cryptocdc_core.catalogue.streams import (
    BEST_QUOTES,
    CRYPTO_24H_STATS,
    KLINES,
    LATEST_PRICES,
    ORDER_BOOK,
    RECENT_TRADES,
)
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import BestQuotesRow, Crypto24hStatsRow, KlinesRow, LatestPricesRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.checks import Id, IdOrNone, Rejected, Time, amounts, not_future
from cryptocdc_exchanges.okx import channels, payloads, swaps
from cryptocdc_exchanges.okx.bars import INTERVALS
from cryptocdc_exchanges.port import Alive, BookUpdate, Closing, Control, Decode, Event, Reply

MAX_FRAME_BYTES = 1024 * 1024
"""The largest frames (snapshots of order books) are some tens of kilobytes."""
_REFUSED_CHANNEL = re.compile(r"channel:([^,\s]+),inst(?:Id|Type):([^,\s]+) doesn't exist")


class Trade(payloads.Trade, gc=False):
    table: ClassVar[str] = RECENT_TRADES.table


class AggregateTrade(payloads.AggregateTrade, gc=False):
    table: ClassVar[str] = RECENT_TRADES.table


class Kline(msgspec.Struct, gc=False):
    symbol: str
    interval: str
    candle: payloads.Candle

    table: ClassVar[str] = KLINES.table

    def row(self, now_ms: int) -> KlinesRow:
        return self.candle.row(self.symbol, self.interval, now_ms, by_rest=False)


class Stats(msgspec.Struct, gc=False):
    symbol: str
    ticker: payloads.Ticker

    table: ClassVar[str] = CRYPTO_24H_STATS.table

    def row(self, now_ms: int) -> Crypto24hStatsRow:
        return self.ticker.stats(now_ms)


class Price(msgspec.Struct, gc=False):
    symbol: str
    ticker: payloads.Ticker

    table: ClassVar[str] = LATEST_PRICES.table

    def row(self, now_ms: int) -> LatestPricesRow:
        return self.ticker.price(now_ms)


_OF_TICKERS: dict[str, type[Stats | Price]] = {kind.table: kind for kind in (Stats, Price)}


class _Changes(msgspec.Struct, rename={"time": "ts", "seq_id": "seqId", "before": "prevSeqId"}):
    """`before` is -1 in a snapshot. Frames of 2022 have neither of the ids."""

    asks: list[payloads.Level]
    bids: list[payloads.Level]
    time: Time
    seq_id: Id | None = None
    before: IdOrNone | None = None


class Book(msgspec.Struct):
    symbol: str
    snapshot: bool
    changes: _Changes

    table: ClassVar[str] = ORDER_BOOK.table

    def row(self, now_ms: int) -> BookUpdate:
        changes = self.changes
        amounts([text for side in (changes.bids, changes.asks) for it in side for text in (it.price, it.size)])
        not_future(changes.time, now_ms)
        if (changes.seq_id is None) != (changes.before is None) or (changes.before == -1 and not self.snapshot):
            raise Rejected("wrong-field", f"an update {changes.seq_id} after {changes.before}")
        numbered = changes.seq_id is not None
        return BookUpdate(
            symbol=self.symbol, event_time=changes.time,
            first_id=changes.time if changes.before is None else changes.before + 1,
            last_id=changes.time if changes.seq_id is None else changes.seq_id,
            bids=payloads.levels(changes.bids), asks=payloads.levels(changes.asks), snapshot=self.snapshot,
            numbered=numbered,
        )  # fmt: skip


class BestQuote(msgspec.Struct, gc=False):
    """A side without orders is empty."""

    symbol: str
    best: _Changes

    table: ClassVar[str] = BEST_QUOTES.table

    def row(self, now_ms: int) -> BestQuotesRow:
        best = self.best
        amounts([text for side in (best.bids, best.asks) for it in side for text in (it.price, it.size)])
        not_future(best.time, now_ms)
        bid, ask = (side[0] if side else None for side in (best.bids, best.asks))
        return BestQuotesRow(
            symbol=self.symbol, event_time=best.time, update_id=best.seq_id,
            bid_price=None if bid is None else bid.price, bid_quantity=None if bid is None else bid.size,
            ask_price=None if ask is None else ask.price, ask_quantity=None if ask is None else ask.size,
            received_at=now_ms, version=version(best.time),
        )  # fmt: skip


class _Arg(msgspec.Struct, gc=False, rename={"symbol": "instId", "kind": "instType"}):
    channel: str
    symbol: str = ""
    kind: str = ""

    @property
    def name(self) -> str:
        return channels.named(self.channel, self.symbol or self.kind)


class _Frame(msgspec.Struct, gc=False):
    arg: _Arg
    data: msgspec.Raw
    action: Literal["snapshot", "update"] | None = None


class _Event(msgspec.Struct):
    event: str
    arg: _Arg | None = None
    id: int | None = None
    code: str = ""
    msg: str = ""


_frames = msgspec.json.Decoder(_Frame)
_events = msgspec.json.Decoder(_Event, strict=False)
_trades = msgspec.json.Decoder(list[Trade], strict=False)
_aggregates = msgspec.json.Decoder(list[AggregateTrade], strict=False)
_candles = msgspec.json.Decoder(list[payloads.Candle], strict=False)
_tickers = msgspec.json.Decoder(list[payloads.Ticker], strict=False)
_books = msgspec.json.Decoder(list[_Changes], strict=False)
_marks = msgspec.json.Decoder(list[swaps.Mark], strict=False)
_indexes = msgspec.json.Decoder(list[swaps.Index], strict=False)
_fundings = msgspec.json.Decoder(list[swaps.Funding], strict=False)
_liquidated = msgspec.json.Decoder(list[swaps.Liquidated], strict=False)


def decoder(streams: Streams) -> Decode:
    """Aggregates and single trades are never mixed: those that the feed did not ask for are refused. Mark prices are
    joined from the frames of three channels, in the order in which they come."""
    kind = None if streams.recent_trades is None else streams.recent_trades.kind
    trades = None if kind is None else channels.TRADES[kind]
    quotes = streams.best_quotes is not None
    of_swaps = _of_swaps(streams)
    of_tickers = [_OF_TICKERS[table] for table in channels.of_tickers(streams)]

    def decode(frame: bytes) -> Sequence[Event] | Control:
        if len(frame) > MAX_FRAME_BYTES:
            raise Rejected("oversize", f"{len(frame)} bytes; {MAX_FRAME_BYTES} are accepted")
        if frame == b"pong":
            return Alive()
        try:
            found = _frames.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _look_again(frame, str(error))
        channel, symbol = found.arg.channel, found.arg.symbol
        if channel == channels.BOOKS:
            if found.action is None:
                raise Rejected("wrong-field", "neither a snapshot nor an update")
            snapshot = found.action == "snapshot"
            return [Book(symbol, snapshot, changes) for changes in payloads.decode(_books, found.data)]
        if channel == channels.QUOTES and quotes:
            return [BestQuote(symbol, best) for best in payloads.decode(_books, found.data)]
        if channel == trades:
            if kind == "aggregate":
                return payloads.decode(_aggregates, found.data)
            return payloads.decode(_trades, found.data)
        if channel == channels.TICKERS and of_tickers:
            tickers = payloads.decode(_tickers, found.data)
            return [event(ticker.symbol, ticker) for ticker in tickers for event in of_tickers]
        if (read := of_swaps.get(channel)) is not None:
            return read(found.data)
        interval = (
            INTERVALS.get(channel.removeprefix(channels.CANDLES)) if channel.startswith(channels.CANDLES) else None
        )
        if interval is None:
            raise Rejected("unknown-event", f"{channel[:40]!r} was not asked for")
        return [Kline(symbol, interval, candle) for candle in payloads.decode(_candles, found.data)]

    return decode


_Read = Callable[[msgspec.Raw], Sequence[Event]]


def _of_swaps(streams: Streams) -> dict[str, _Read]:
    """Return by channel the function that makes events of a frame's data."""
    marks = swaps.Marks()

    def index(data: msgspec.Raw) -> Sequence[Event]:
        for it in payloads.decode(_indexes, data):
            marks.note_index(it)
        return ()

    def funding(data: msgspec.Raw) -> Sequence[Event]:
        for it in payloads.decode(_fundings, data):
            marks.note_funding(it)
        return ()

    def mark(data: msgspec.Raw) -> Sequence[Event]:
        return [event for it in payloads.decode(_marks, data) for event in marks.joined(it)]

    def forced(data: msgspec.Raw) -> Sequence[Event]:
        found = payloads.decode(_liquidated, data)
        return [swaps.Liquidation(it.symbol, order) for it in found for order in it.details]

    wanted: dict[str, _Read] = {}
    if streams.mark_prices is not None:
        wanted |= {channels.MARKS: mark, channels.INDEXES: index, channels.FUNDING: funding}
    if streams.liquidations is not None:
        wanted[channels.FORCED] = forced
    return wanted


def _look_again(frame: bytes, problem: str) -> Control:
    """Return what a frame without data says. Raises Rejected."""
    try:
        document = msgspec.json.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Rejected("invalid-json", str(error)) from None
    if not isinstance(document, dict):
        raise Rejected("unknown-event", f"a {type(document).__name__} instead of an event")
    if "event" not in document and "code" in document:
        raise Rejected("error-body", f"{document['code']}: {document.get('msg')}")
    if "event" not in document:
        raise Rejected("wrong-field" if "arg" in document else "unknown-event", problem)
    event = payloads.decode(_events, frame)
    if event.event in ("subscribe", "unsubscribe") and event.arg is not None:
        return Reply("", event.id, frozenset({event.arg.name}))
    if event.event == "error":
        refused, problem = _REFUSED_CHANNEL.search(event.msg), f"{event.code}: {event.msg}"
        if refused is not None:
            return Reply(problem, event.id, frozenset({channels.named(*refused.groups())}))
        if event.id is None:
            raise Rejected("error-body", problem)  # of no command of ours: each of them has an id
        return Reply(problem, event.id)
    if event.event == "notice":
        return Closing()  # in 30 to 60 s, for an upgrade of the service
    raise Rejected("unknown-event", f"event {event.event[:40]!r}")
