"""The names of the archive's files, what each covers, and how a venue writes its rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.klines import following, opening
from cryptocdc_simulator.market.symbols import Instrument
from cryptocdc_simulator.market.trades import Aggregate, Raw

KLINES, AGGREGATES, TRADES = "klines", "aggTrades", "trades"

_MONTH = "1mo"
"""How the archive writes the interval 1M, since some file systems don't distinguish it from 1m."""
_MONTHLY_ONLY = ("3d", "1w", _MONTH)
_PATH = re.compile(
    r"(?P<period>daily|monthly)/(?P<kind>klines|aggTrades|trades)/(?P<symbol>[^/]+)/(?:(?P<interval>[^/]+)/)?"
    r"(?P<file>(?P=symbol)-(?P<middle>[^/]+?)-(?P<date>\d{4}-\d{2}(?:-\d{2})?))\.zip"
)


@dataclass(frozen=True)
class Format:
    """How a venue writes its files. The functions return a line without its end; their last argument is the factor
    from milliseconds to the unit of the file's times."""

    folder: str
    """Below which the files are, such as data/spot."""
    titles: Mapping[str, str]
    """By kind of file, its header line."""
    has_titles: bool
    intervals: tuple[str, ...]
    microseconds_from: int | None
    """Files that begin at this time (ms) or later have times in microseconds; None if none has."""
    aggregate: Callable[[Instrument, Aggregate, int], str]
    trade: Callable[[Instrument, Raw, int], str]
    kline: Callable[[Instrument, int, int, Bar, int], str]
    """The integers are the open time, and the close time in ms as reported over REST."""


@dataclass(frozen=True)
class ArchiveFile:
    """A file of one symbol: its rows are those with start <= time < end (ms). `name` has no extension."""

    name: str
    kind: str
    symbol: str
    interval: str
    """As the market names it; "" for trades."""
    start: int
    end: int

    @property
    def published(self) -> int:
        """When the file appears, in ms: the period and each of its candles must have ended."""
        if not self.interval:
            return self.end
        return max(self.end, following(self.interval, opening(self.interval, self.end - 1)))


def parse(path: str, intervals: tuple[str, ...]) -> ArchiveFile | None:
    """Return the file of a path below a format's folder, such as
    monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-06.zip; None if there is no such file."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    kind, interval = match["kind"], match["interval"] or ""
    daily = match["period"] == "daily"
    if match["middle"] != (interval or kind) or daily != (len(match["date"]) == 10):
        return None
    if (kind == KLINES) != bool(interval) or (daily and interval in _MONTHLY_ONLY):
        return None
    market_interval = "1M" if interval == _MONTH else "" if interval == "1M" else interval
    if kind == KLINES and market_interval not in intervals:
        return None
    try:
        begin = datetime.strptime(match["date"], "%Y-%m-%d" if daily else "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        return None
    end = begin + timedelta(days=1) if daily else (begin + timedelta(days=31)).replace(day=1)
    start, stop = (int(at.timestamp()) * 1000 for at in (begin, end))
    return ArchiveFile(match["file"], kind, match["symbol"], market_interval, start, stop)
