"""The public archive: https://github.com/binance/binance-public-data describes its folders and columns.

A day's file appears on the next day, a month's in the next month. Spot times are microseconds from 2025 on and
milliseconds before; files of futures begin with a header line, but for old ones. Files are sometimes published again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.rows.typed import KlinesRow, RecentTradesRow
from cryptocdc_core.rows.versions import archive_version
from cryptocdc_exchanges.archive_lines import boolean, millis
from cryptocdc_exchanges.port import File, Format, MakeRow, Period, Series

HOST = "https://data.binance.vision"

_FOLDERS = {"aggregate": "aggTrades", "trade": "trades"}
_MONTHLY_ONLY = frozenset({"3d", "1w", "1M"})
_CHECKSUM = re.compile(rb"\s*([0-9a-fA-F]{64})\b")


def _aggregates(series: Series, read_ms: int) -> MakeRow:
    symbol, version = series.symbol, archive_version(read_ms)

    def row(fields: Sequence[str]) -> RecentTradesRow:
        trade_id, price, quantity, first, last, time, buyer_is_maker = fields
        return RecentTradesRow(
            symbol=symbol, trade_time=millis(time), trade_id=int(trade_id), price=price, quantity=quantity,
            first_trade_id=int(first), last_trade_id=int(last), buyer_is_maker=boolean(buyer_is_maker),
            received_at=read_ms, version=version,
        )  # fmt: skip

    return row


def _trades(series: Series, read_ms: int) -> MakeRow:
    symbol, version = series.symbol, archive_version(read_ms)

    def row(fields: Sequence[str]) -> RecentTradesRow:
        trade_id, price, quantity, time, buyer_is_maker = fields
        number = int(trade_id)
        return RecentTradesRow(
            symbol=symbol, trade_time=millis(time), trade_id=number, price=price, quantity=quantity,
            first_trade_id=number, last_trade_id=number, buyer_is_maker=boolean(buyer_is_maker), received_at=read_ms,
            version=version,
        )  # fmt: skip

    return row


def _klines(series: Series, read_ms: int) -> MakeRow:
    symbol, interval, version = series.symbol, series.kind, archive_version(read_ms)

    def row(fields: Sequence[str]) -> KlinesRow:
        open_time, opened, high, low, closed, volume, close_time, quote, count, taker, taker_quote = fields
        return KlinesRow(
            symbol=symbol, interval=interval, open_time=millis(open_time), close_time=millis(close_time),
            open=opened, high=high, low=low, close=closed, volume=volume, quote_volume=quote, trade_count=int(count),
            taker_buy_volume=taker, taker_buy_quote_volume=taker_quote, closed=True, event_time=read_ms,
            received_at=read_ms, version=version,
        )  # fmt: skip

    return row


_KLINES = Format(
    ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trade_count",
     "taker_buy_volume", "taker_buy_quote_volume", ""),
    _klines, "open_time", 45,
)  # fmt: skip
_AGGREGATE_FIELDS = ("trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "trade_time", "buyer_is_maker")
_TRADE_FIELDS = ("trade_id", "price", "quantity", "", "trade_time", "buyer_is_maker")
_OWN_ID = {"first_trade_id": "trade_id", "last_trade_id": "trade_id"}


class BinanceArchive:
    """The archive of one kind of markets. `folder`: its part of the archive. `trades_extra`: fields that its files of
    trades have beyond those of futures."""

    def __init__(self, folder: str, trades_extra: int) -> None:
        self._folder = folder
        extra = ("",) * trades_extra
        self._formats = {
            "aggregate": Format((*_AGGREGATE_FIELDS, *extra), _aggregates, "trade_id", 17),
            "trade": Format((*_TRADE_FIELDS, *extra), _trades, "trade_id", 14, _OWN_ID),
        }

    def series(self, streams: Streams, symbol: str) -> Sequence[Series]:
        found = []
        if streams.recent_trades is not None:
            found.append(Series(RECENT_TRADES.table, symbol, streams.recent_trades.kind))
        if streams.klines is not None:
            found += [Series(KLINES.table, symbol, interval) for interval in streams.klines.intervals]
        return found

    def file(self, series: Series, period: Period, start_ms: int) -> File | None:
        klines = series.table == KLINES.table
        if klines and period is Period.DAY and series.kind in _MONTHLY_ONLY:
            return None
        # As the venue says, for file systems that don't distinguish upper and lower case.
        name = {"1M": "1mo"}.get(series.kind, series.kind) if klines else _FOLDERS[series.kind]
        at = datetime.fromtimestamp(start_ms / 1000, UTC)
        when = f"{at:%Y-%m}" if period is Period.MONTH else f"{at:%Y-%m-%d}"
        folders = (
            "data", self._folder, "monthly" if period is Period.MONTH else "daily", "klines" if klines else name,
            series.symbol, *((name,) if klines else ()),
        )  # fmt: skip
        path = f"/{'/'.join(folders)}/{series.symbol}-{name}-{when}.zip"
        return File(path, series, period, start_ms, period.next(start_ms))

    def format(self, series: Series) -> Format:
        return _KLINES if series.table == KLINES.table else self._formats[series.kind]

    def checksum_path(self, file: File) -> str:
        return f"{file.path}.CHECKSUM"

    def checksum(self, body: bytes) -> str | None:
        found = _CHECKSUM.match(body)
        return None if found is None else found[1].decode().lower()


SPOT = BinanceArchive("spot", trades_extra=1)
"""Spot files also say whether a trade was the best match."""
FUTURES = BinanceArchive("futures/um", trades_extra=0)
