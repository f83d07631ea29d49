"""Answers of OKX's REST API: {code, msg, data}, newest first. A row that is wrong is refused alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from cryptocdc_core.rows.typed import (
    Crypto24hStatsRow,
    KlinesRow,
    LatestPricesRow,
    OpenInterestRow,
    RecentTradesRow,
    Row,
)
from cryptocdc_exchanges.checks import Id, Rejected, amounts
from cryptocdc_exchanges.okx import payloads, swaps
from cryptocdc_exchanges.port import BookSnapshot, FirstTrade, Refused, Rows

T = TypeVar("T")
R = TypeVar("R", bound=Row)


class _Answer(msgspec.Struct):
    code: str
    data: list[msgspec.Raw]
    msg: str = ""


class _Depth(msgspec.Struct, rename={"last_id": "seqId"}):
    asks: list[payloads.Level]
    bids: list[payloads.Level]
    last_id: Id


_responses = msgspec.json.Decoder(_Answer)
_trade = msgspec.json.Decoder(payloads.Trade, strict=False)
_candle = msgspec.json.Decoder(payloads.Candle, strict=False)
_ticker = msgspec.json.Decoder(payloads.Ticker, strict=False)
_depth = msgspec.json.Decoder(_Depth, strict=False)
_open_interest = msgspec.json.Decoder(swaps.OpenInterest, strict=False)


def data(body: bytes) -> list[msgspec.Raw]:
    """Return the elements of an answer. Raises Rejected when there are none."""
    found = payloads.decode(_responses, body)
    if found.code != "0":
        raise Rejected("error-body", f"{found.code}: {found.msg}")
    return found.data


def position(part: bytes) -> int | None:
    """Return the id of a refused trade or the open time in ms of a refused candle; None where it can't be read."""
    try:
        element = msgspec.json.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a number out of range, a text that is not UTF-8
        return None
    if isinstance(element, list):
        found = element[0] if element else None
    else:
        found = element.get("tradeId") if isinstance(element, dict) else None
    return int(found) if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 19 else None


def _each(body: bytes, decoder: msgspec.json.Decoder[T], make: Callable[[T], R]) -> Rows[R]:
    rows: list[R] = []
    refused: list[Refused] = []
    for part in data(body):
        try:
            rows.append(make(payloads.decode(decoder, part)))
        except Rejected as rejected:
            refused.append(Refused(rejected, bytes(part), position(bytes(part))))
    return Rows(rows, refused)


def trades(body: bytes, now_ms: int) -> Rows[RecentTradesRow]:
    """/market/trades and /market/history-trades."""
    return _each(body, _trade, lambda trade: trade.row(now_ms))


def first_trade(first_id: int, body: bytes, now_ms: int) -> FirstTrade:
    """/market/history-trades backwards from a time: the trade after the last one before. `first_id`: of a market."""
    rows, refused = trades(body, now_ms)
    before = [row.trade_id for row in rows] + [it.position for it in refused if it.position is not None]
    unread = [it._replace(position=None) for it in refused]
    if not before:
        return FirstTrade([] if unread else [first_id], unread)
    return FirstTrade([max(before) + 1], unread)


def klines(symbol: str, interval: str, body: bytes, now_ms: int) -> Rows[KlinesRow]:
    """/market/history-candles."""
    return _each(body, _candle, lambda candle: candle.row(symbol, interval, now_ms, by_rest=True))


def stats(body: bytes, now_ms: int) -> Rows[Crypto24hStatsRow]:
    """/market/ticker."""
    return _each(body, _ticker, lambda ticker: ticker.stats(now_ms))


def prices(body: bytes, now_ms: int) -> Rows[LatestPricesRow]:
    """/market/ticker."""
    return _each(body, _ticker, lambda ticker: ticker.price(now_ms))


def open_interest(body: bytes, now_ms: int) -> Rows[OpenInterestRow]:
    """/public/open-interest."""
    return _each(body, _open_interest, lambda it: it.row(now_ms))


def snapshot(body: bytes, _: int) -> BookSnapshot:
    """/market/books."""
    parts = data(body)
    if len(parts) != 1:
        raise Rejected("wrong-field", f"{len(parts)} order books instead of one")
    found = payloads.decode(_depth, parts[0])
    amounts([text for side in (found.bids, found.asks) for level in side for text in (level.price, level.size)])
    return BookSnapshot(found.last_id, payloads.levels(found.bids), payloads.levels(found.asks))
