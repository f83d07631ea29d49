"""The market panels: what each shows, and its query for each data source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from grafana_foundation_sdk.builders import candlestick
from grafana_foundation_sdk.models.common import GraphDrawStyle

from cryptocdc_core.catalogue import NEWEST_STATS, Bucket
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market import anomalies, bars, book_metrics, books, forecasts, perpetuals, quotes
from cryptocdc_grafana.market.cql import newest_of, number, reported, within
from cryptocdc_grafana.market.panel import NEWEST_PAGE, NUMBER, RANGE, SYMBOL, SYMBOLS, TEXT, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql
from cryptocdc_grafana.tables import AS_IT_IS, Shown, rows

STATS, CANDLES = CRYPTO_24H_STATS.table, KLINES.table
CANDLE_PARTITIONS = {Bucket.MONTH: 3, Bucket.DAY: 2}
READ = {
    Source.CASSANDRA: f"candles of the last {CANDLE_PARTITIONS[Bucket.MONTH]} calendar months of the range, one-second"
    f" candles of its last {CANDLE_PARTITIONS[Bucket.DAY]} days"
}
OHLCV = ("open", "high", "low", "close", "volume")
CANDLES_DOC = "Candles with their volume in the base asset; an open candle still moves."
NEWEST = "shard = 0 AND event_time > current_timestamp() - 1d"
"""One partition with a row per symbol, which is read in full anyway; rows of symbols that are no longer captured or
traded are excluded."""
FILTERED = "ALLOW FILTERING"
"""Of one partition, or of those that the query names."""
LEAST = {"trade_count": 0, "price_change_percent": -100}
"""Of the displayed nullable columns."""
STATS_SHOWN = {
    "symbol": Shown(AS_IT_IS, width=130),
    "price": Shown(AS_IT_IS),
    "change": Shown("percent", decimals=2, gains=True),
    "high": Shown(AS_IT_IS),
    "low": Shown(AS_IT_IS),
    "volume": Shown("short"),
    "trades": Shown("short"),
}


OPTIONAL: Mapping[str, Callable[[], Iterator[MarketPanel]]] = {
    "Bars of trades": bars.panels,
    "Volatility of trades": bars.volatility,
    "Figures of order books": book_metrics.panels,
    "Anomalies": anomalies.panels,
    "Forecasts": forecasts.panels,
    "Best bid and ask": quotes.panels,
    "Perpetual contracts": perpetuals.panels,
}
"""The panels of streams that few feeds capture or compute, by the title of the row that holds them."""


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _ranking(
        "Ten most traded symbols", "Trades in the last 24 hours.", "trade_count", "trades", "trades", "short", 10
    )
    yield _ranking(
        "Five biggest gainers",
        "Price change over the last 24 hours.",
        "price_change_percent",
        "change",
        "gain",
        "percent",
        5,
    )
    yield books.depth_share()
    yield _change()
    yield _trends()
    yield _hourly()
    yield _candles("$symbol, every $interval", "$symbol", "$interval")
    yield books.depth()
    yield _candle_line("Volume of $symbol", "Traded in each candle, in the base asset.", "volume", "short", bars=True)
    yield _candle_line("Trades of $symbol", "Raw trades in each candle.", "trade_count", "short", bars=True)
    yield _volatility()
    yield books.spread()
    yield books.imbalance()  # fmt: skip


def _newest_stats(columns: Sequence[tuple[str, str]]) -> str:
    """Return the query for every symbol's newest statistics; `columns` are (column, name)."""
    chosen = ", ".join(f"{column}::float8 AS {name}" for column, name in columns)
    return (
        f'SELECT DISTINCT ON (symbol) symbol, {chosen} FROM "$feed".{STATS}'
        " WHERE event_time > (now() AT TIME ZONE 'UTC') - interval '1 day' ORDER BY symbol, event_time DESC"
    )


def _ranking(title: str, doc: str, column: str, name: str, by: str, unit: str, count: int) -> MarketPanel:
    return MarketPanel(
        title, doc, drawing.ranks(unit),
        _newest_reported(column, name),
        Get("/top", (("by", by), ("n", str(count))), [("symbol", "symbol", TEXT), (column, name, NUMBER)]),
        Sql(
            f"SELECT * FROM ({_newest_stats([(column, name)])}) AS newest"
            f" WHERE {name} IS NOT NULL ORDER BY {name} DESC LIMIT {count}"
        ),
        shaping.ranked(name, count), width=8, linked=True,
    )  # fmt: skip


def _newest_reported(column: str, name: str) -> Cql:
    """A nullable column of the newest statistics."""
    return Cql(
        f'SELECT symbol, {number(column, name)} FROM "$feed".{NEWEST_STATS.table}'
        f" WHERE {NEWEST} AND {reported(column, LEAST[column])} {FILTERED}"
    )


def _change() -> MarketPanel:
    columns = [
        ("last_price", "price"), ("price_change_percent", "change"), ("high_price", "high"), ("low_price", "low"),
        ("volume", "volume"), ("trade_count", "trades"),
    ]  # fmt: skip
    chosen = ", ".join(number(column, name) for column, name in columns if column not in LEAST)
    return MarketPanel(
        "24 hours", "Every symbol's statistics over the last 24 hours; change in percent, volume in the base asset.",
        rows(STATS_SHOWN),
        Cql(f'SELECT symbol, {chosen} FROM "$feed".{NEWEST_STATS.table} WHERE {NEWEST} {FILTERED}'),
        Get(
            "/top", (("by", "volume"), ("n", "1000")),
            [("symbol", "symbol", TEXT), *((column, name, NUMBER) for column, name in columns)],
        ),
        Sql(_newest_stats(columns)),
        (shaping.MERGED, shaping.sorted_by("change", descending=True), shaping.ordered(*STATS_SHOWN)), width=24,
        apart=tuple(_newest_reported(column, name) for column, name in columns if column in LEAST), linked=True,
    )  # fmt: skip


def _trends() -> MarketPanel:
    return MarketPanel(
        "Price trends", "Change in the selected symbols' closing prices since the start of the range.",
        drawing.lines("percentunit", fill=0, series="${__field.labels.symbol}"),
        Cql(
            f'SELECT symbol, {number("close", "close")}, open_time AS time FROM "$feed".{CANDLES}'
            f" WHERE symbol IN ({SYMBOLS}) AND interval = '$interval'"
            f" AND {newest_of(KLINES, CANDLE_PARTITIONS)} AND {within('open_time')}"
        ),
        Get(
            "/price_trends",
            (("symbols", "${symbols:csv}"), ("interval", "$interval"), *RANGE),
            [("symbol", "symbol", TEXT), ("close", "close", NUMBER), ("open_time", "time", TIME)],
        ),
        Sql(
            f'SELECT open_time AS time, symbol, close::float8 AS close FROM "$feed".{CANDLES}'
            f" WHERE symbol IN ({SYMBOLS}) AND interval = '$interval' AND $__timeFilter(open_time) ORDER BY 1"
        ),
        shaping.since_the_start("close", "change"), width=12, asked=2,
        read=READ | {Source.API: f"{NEWEST_PAGE}, of each symbol"},
    )  # fmt: skip


def _of_candles(symbol: str, interval: str, columns: Sequence[str]) -> tuple[Cql, Get, Sql]:
    """Return the queries for some columns of one symbol's candles."""
    where = f"symbol = '{symbol}' AND interval = '{interval}'"
    months = newest_of(KLINES, CANDLE_PARTITIONS)
    doubles = ", ".join(number(column, column) for column in columns)
    known = "".join(f" AND {reported(column, LEAST[column])}" for column in columns if column in LEAST)
    floats = ", ".join(f"{column}::float8 AS {column}" for column in columns)
    return (
        Cql(
            f'SELECT symbol, {doubles}, open_time AS time FROM "$feed".{CANDLES}'
            f" WHERE {where} AND {months} AND {within('open_time')}{known and f'{known} {FILTERED}'}"
        ),
        Get(
            f"/{CANDLES}", (("symbol", symbol), ("interval", interval), *WHOLE),
            [("open_time", "time", TIME), *((column, column, NUMBER) for column in columns)],
        ),
        Sql(
            f'SELECT open_time AS time, {floats} FROM "$feed".{CANDLES}'
            f" WHERE {where} AND $__timeFilter(open_time) ORDER BY 1"
        ),
    )  # fmt: skip


def _candles(title: str, symbol: str, interval: str) -> MarketPanel:
    asked = _of_candles(symbol, interval, OHLCV)
    return MarketPanel(title, CANDLES_DOC, drawing.candles, *asked, shaping.by_time(*OHLCV), width=12, read=READ)


def _hourly() -> MarketPanel:
    """Show a week, whatever the dashboard's range. Grafana applies a time override to databases but not to URLs."""
    cql, get, sql = _of_candles("BTCUSDT", "1h", OHLCV)
    newest = Get(get.path, (("symbol", "BTCUSDT"), ("interval", "1h"), ("limit", "168")), get.columns)

    def draw() -> candlestick.Panel:
        panel = drawing.candles()
        panel.time_from("7d")
        return panel

    return MarketPanel("BTCUSDT, hourly", CANDLES_DOC, draw, cql, newest, sql, shaping.by_time(*OHLCV), width=12)


def _candle_line(title: str, doc: str, column: str, unit: str, *, bars: bool) -> MarketPanel:
    draw = drawing.lines(unit, style=GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
    asked = _of_candles("$symbol", "$interval", (column,))
    return MarketPanel(title, doc, draw, *asked, shaping.by_time(column), width=8, read=READ)


def _volatility() -> MarketPanel:
    where = f"symbol = {SYMBOL} AND interval = '$interval'"
    return MarketPanel(
        "Volatility of $symbol", "High minus low of each candle, in percent of its open.", drawing.lines("percent"),
        Cql(
            'SELECT symbol, CAST(high - low AS double) / CAST(open AS double) * 100 AS volatility, open_time AS time'
            f' FROM "$feed".{CANDLES}'
            f" WHERE {where} AND {newest_of(KLINES, CANDLE_PARTITIONS)} AND {within('open_time')}"
        ),
        Get(
            "/volatility", (("symbol", "$symbol"), ("interval", "$interval"), *RANGE, ("limit", "1000")),
            [("open_time", "time", TIME), ("range_percent", "volatility", NUMBER)],
        ),
        Sql(
            'SELECT open_time AS time, ((high - low) / nullif(open, 0) * 100)::float8 AS volatility'
            f' FROM "$feed".{CANDLES}'
            f" WHERE {where} AND $__timeFilter(open_time) ORDER BY 1"
        ),
        shaping.by_time("volatility"), width=8, read=READ | {Source.API: NEWEST_PAGE},
    )  # fmt: skip
