"""The market's panels: what each shows, and the question that it puts to each data source.

A panel's queries answer with the same columns, whoever is asked, so that it is drawn in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import candlestick
from grafana_foundation_sdk.models.common import GraphDrawStyle
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from cryptocdc_core.catalogue import HEATMAP, NEWEST_STATS, Bucket
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES, ORDER_BOOK
from cryptocdc_grafana import drawing
from cryptocdc_grafana.cql import newest_buckets, newest_of, number, within
from cryptocdc_grafana.drawing import Drawing, transformation
from cryptocdc_grafana.sources import Cql, Get, Query, Source, Sql

STATS, CANDLES, BOOK = CRYPTO_24H_STATS.table, KLINES.table, ORDER_BOOK.table
RANGE = (("from", "${__from}"), ("to", "${__to}"), ("limit", "1000"))
"""The newest 1,000 rows of the dashboard's range."""
BOOK_HOURS, CANDLE_PARTITIONS = 2, {Bucket.MONTH: 3, Bucket.DAY: 2}
OHLCV = ("open", "high", "low", "close", "volume")
CANDLES_DOC = "Candles with their volume in the base asset; an open candle still moves."
TIME, NUMBER, TEXT = "timestamp", "number", "string"
SYMBOL = "'$symbol'"
NEWEST = "shard = 0 AND event_time > current_timestamp() - 1d ALLOW FILTERING"
"""One partition, a row a symbol, which is read whole in any case; the last rows of symbols that are no longer captured
or traded are left out."""
SYMBOLS = "${symbols:singlequote}"


@dataclass(frozen=True)
class MarketPanel:
    title: str
    doc: str
    draw: Drawing
    cql: Cql
    get: Get
    sql: Sql
    shaped: tuple[DataTransformerConfig, ...]
    width: int
    """Of 24."""
    height: int = 9

    def query(self, source: Source) -> Query:
        asked: dict[Source, Cql | Get | Sql] = {
            Source.CASSANDRA: self.cql,
            Source.API: self.get,
            Source.POSTGRES: self.sql,
        }
        return asked[source].query


def panels() -> Iterator[MarketPanel]:
    yield _ranking(
        "Ten most traded symbols", "Trades in the last 24 hours.", "trade_count", "trades", "trades", "short", 10
    )
    yield _ranking(
        "Five greatest gains", "Change of the price over the last 24 hours.", "price_change_percent", "change", "gain",
        "percent", 5,
    )  # fmt: skip
    yield _change()
    yield _trends()
    yield _hourly()
    yield _candles("$symbol, every $interval", "$symbol", "$interval")
    yield _ordered()
    yield _candle_line("Volume of $symbol", "Traded in each candle, in the base asset.", "volume", "short", bars=True)
    yield _candle_line("Trades of $symbol", "Raw trades in each candle.", "trade_count", "short", bars=True)
    yield _volatility()
    yield _heatmap()
    yield _book_line(
        "Spread of $symbol", "Best price asked less best price bid, in the quote asset.", "spread", "short"
    )
    yield _book_line(
        "Imbalance of $symbol",
        "Bid less asked quantity by their sum: 1 is all bid, -1 all asked.",
        "imbalance",
        "short",
    )


def _newest_stats(columns: Sequence[tuple[str, str]]) -> str:
    """The newest statistics of every symbol; `columns` are (column, name)."""
    chosen = ", ".join(f"{column}::float8 AS {name}" for column, name in columns)
    return (
        f'SELECT DISTINCT ON (symbol) symbol, {chosen} FROM "$feed".{STATS}'
        " WHERE event_time > (now() AT TIME ZONE 'UTC') - interval '1 day' ORDER BY symbol, event_time DESC"
    )


def _ranking(title: str, doc: str, column: str, name: str, by: str, unit: str, count: int) -> MarketPanel:
    return MarketPanel(
        title, doc, drawing.bars(unit),
        Cql(f'SELECT symbol, {number(column, name)} FROM "$feed".{NEWEST_STATS.table} WHERE {NEWEST}'),
        Get("/top", (("by", by), ("n", str(count))), [("symbol", "symbol", TEXT), (column, name, NUMBER)]),
        Sql(f"SELECT * FROM ({_newest_stats([(column, name)])}) AS newest ORDER BY {name} DESC LIMIT {count}"),
        drawing.ranked(name, count), width=6,
    )  # fmt: skip


def _change() -> MarketPanel:
    columns = [
        ("last_price", "price"), ("price_change_percent", "change"), ("high_price", "high"), ("low_price", "low"),
        ("volume", "volume"), ("trade_count", "trades"),
    ]  # fmt: skip
    chosen = ", ".join(number(column, name) for column, name in columns)
    return MarketPanel(
        "24 hours", "Every symbol's statistics over the last 24 hours; change in per cent, volume in the base asset.",
        drawing.rows({"change": "percent", "trades": "short", "volume": "short"}),
        Cql(f'SELECT symbol, {chosen} FROM "$feed".{NEWEST_STATS.table} WHERE {NEWEST}'),
        Get(
            "/top", (("by", "trades"), ("n", "1000")),
            [("symbol", "symbol", TEXT), *((column, name, NUMBER) for column, name in columns)],
        ),
        Sql(_newest_stats(columns)),
        (drawing.MERGED, transformation("sortBy", sort=[{"field": "change", "desc": True}])), width=12,
    )  # fmt: skip


def _trends() -> MarketPanel:
    return MarketPanel(
        "Price trends", "Closing prices of the chosen symbols, on a logarithmic scale.",
        drawing.lines("short", log=True),
        Cql(
            f'SELECT symbol, {number("close", "close")}, open_time AS time FROM "$feed".{CANDLES}'
            f" WHERE symbol IN ({SYMBOLS}) AND interval = '$interval'"
            f" AND {newest_of(KLINES, CANDLE_PARTITIONS)} AND {within('open_time')}"
        ),
        Get(
            "/price_trends",
            (("symbols", "${symbols:csv}"), ("interval", "$interval"), ("from", "${__from}"), ("to", "${__to}")),
            [("symbol", "symbol", TEXT), ("close", "close", NUMBER), ("open_time", "time", TIME)],
        ),
        Sql(
            f'SELECT open_time AS time, symbol, close::float8 AS close FROM "$feed".{CANDLES}'
            f" WHERE symbol IN ({SYMBOLS}) AND interval = '$interval' AND $__timeFilter(open_time) ORDER BY 1"
        ),
        drawing.by_symbol(), width=12,
    )  # fmt: skip


def _of_candles(symbol: str, interval: str, columns: Sequence[str]) -> tuple[Cql, Get, Sql]:
    """Columns of one symbol's candles."""
    where = f"symbol = '{symbol}' AND interval = '{interval}'"
    months = newest_of(KLINES, CANDLE_PARTITIONS)
    doubles = ", ".join(number(column, column) for column in columns)
    floats = ", ".join(f"{column}::float8 AS {column}" for column in columns)
    return (
        Cql(
            f'SELECT symbol, {doubles}, open_time AS time FROM "$feed".{CANDLES}'
            f" WHERE {where} AND {months} AND {within('open_time')}"
        ),
        Get(
            f"/{CANDLES}", (("symbol", symbol), ("interval", interval), *RANGE),
            [("open_time", "time", TIME), *((column, column, NUMBER) for column in columns)],
        ),
        Sql(
            f'SELECT open_time AS time, {floats} FROM "$feed".{CANDLES}'
            f" WHERE {where} AND $__timeFilter(open_time) ORDER BY 1"
        ),
    )  # fmt: skip


def _candles(title: str, symbol: str, interval: str) -> MarketPanel:
    asked = _of_candles(symbol, interval, OHLCV)
    return MarketPanel(title, CANDLES_DOC, drawing.candles, *asked, drawing.in_time(), width=12)


def _hourly() -> MarketPanel:
    """A week whatever the dashboard's range. Grafana gives an override of the time to databases and not to URLs."""
    cql, get, sql = _of_candles("BTCUSDT", "1h", OHLCV)
    newest = Get(get.path, (("symbol", "BTCUSDT"), ("interval", "1h"), ("limit", "168")), get.columns)

    def draw() -> candlestick.Panel:
        panel = drawing.candles()
        panel.time_from("7d")
        return panel

    return MarketPanel("BTCUSDT, hourly", CANDLES_DOC, draw, cql, newest, sql, drawing.in_time(), width=12)


def _candle_line(title: str, doc: str, column: str, unit: str, *, bars: bool) -> MarketPanel:
    draw = drawing.lines(unit, style=GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
    asked = _of_candles("$symbol", "$interval", (column,))
    return MarketPanel(title, doc, draw, *asked, drawing.in_time(), width=8)


def _volatility() -> MarketPanel:
    where = f"symbol = {SYMBOL} AND interval = '$interval'"
    return MarketPanel(
        "Volatility of $symbol", "High less low of each candle, in per cent of its open.", drawing.lines("percent"),
        Cql(
            'SELECT symbol, CAST(high - low AS double) / CAST(open AS double) * 100 AS volatility, open_time AS time'
            f' FROM "$feed".{CANDLES}'
            f" WHERE {where} AND {newest_of(KLINES, CANDLE_PARTITIONS)} AND {within('open_time')}"
        ),
        Get(
            "/volatility", (("symbol", "$symbol"), ("interval", "$interval"), *RANGE),
            [("open_time", "time", TIME), ("range_percent", "volatility", NUMBER)],
        ),
        Sql(
            'SELECT open_time AS time, ((high - low) / nullif(open, 0) * 100)::float8 AS volatility'
            f' FROM "$feed".{CANDLES}'
            f" WHERE {where} AND $__timeFilter(open_time) ORDER BY 1"
        ),
        drawing.in_time(), width=8,
    )  # fmt: skip


def _ordered() -> MarketPanel:
    return MarketPanel(
        "Quantity ordered", "Bid and asked in the newest order book of each chosen symbol, in its base asset.",
        drawing.bars("short", stacked=True),
        Cql(
            f"SELECT symbol, {number('collection_sum(bid_quantities)', 'bid')},"
            f' {number("collection_sum(ask_quantities)", "ask")} FROM "$feed".{BOOK}'
            f" WHERE symbol IN ({SYMBOLS}) AND {newest_buckets(Bucket.HOUR, 1)} PER PARTITION LIMIT 1"
        ),
        Get(
            f"/{BOOK}/newest", (),
            [("symbol", "symbol", TEXT), ("bid_total", "bid", NUMBER), ("ask_total", "ask", NUMBER)],
        ),
        Sql(
            "SELECT DISTINCT ON (symbol) symbol, (SELECT sum(q) FROM unnest(bid_quantities) AS q)::float8 AS bid,"
            f' (SELECT sum(q) FROM unnest(ask_quantities) AS q)::float8 AS ask FROM "$feed".{BOOK}'
            f" WHERE symbol IN ({SYMBOLS}) AND bucket_time > (now() AT TIME ZONE 'UTC') - interval '1 hour'"
            " ORDER BY symbol, bucket_time DESC"
        ),
        (drawing.MERGED,), width=12,
    )  # fmt: skip


def _heatmap() -> MarketPanel:
    """PostgreSQL has no bins: its levels stand in their stead, of one book every ten seconds."""
    return MarketPanel(
        "Order book of $symbol", "Quantity bid and asked by price, every ten seconds.", drawing.book_heatmap,
        Cql(
            f"SELECT symbol, {number('price_low', 'price')}, {number('bid_quantity + ask_quantity', 'quantity')},"
            f' bucket_time AS time FROM "$feed".{HEATMAP.table}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(Bucket.HOUR, BOOK_HOURS)} AND {within('bucket_time')}"
        ),
        Get(
            "/heatmap",
            (("symbol", "$symbol"), ("from", "${__from}"), ("to", "${__to}"), ("stream", "true")),
            [("bucket_time", "time", TIME), ("price_low", "price", NUMBER), ("quantity", "quantity", NUMBER)],
        ),
        Sql(
            "SELECT bucket_time AS time, level.price::float8 AS price, sum(level.quantity)::float8 AS quantity"
            f' FROM "$feed".{BOOK}, LATERAL unnest(bid_prices || ask_prices, bid_quantities || ask_quantities)'
            " AS level (price, quantity)"
            f" WHERE symbol = {SYMBOL} AND $__timeFilter(bucket_time)"
            " AND extract(epoch FROM bucket_time)::bigint % 10 = 0 GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        (
            drawing.MERGED,
            transformation("sortBy", sort=[{"field": "time", "desc": False}]),
            transformation(
                "groupingToMatrix", rowField="time", columnField="price", valueField="quantity", emptyValue="zero"
            ),
            transformation("convertFieldType", conversions=[{"targetField": "time\\price", "destinationType": "time"}]),
        ), width=12,
    )  # fmt: skip


def _book_line(title: str, doc: str, name: str, unit: str) -> MarketPanel:
    bid, ask = ("CAST(collection_sum(bid_quantities) AS double)", "CAST(collection_sum(ask_quantities) AS double)")
    cql = {
        "spread": "CAST(collection_min(ask_prices) - collection_max(bid_prices) AS double)",
        "imbalance": f"({bid} - {ask}) / ({bid} + {ask})",
    }[name]
    sql = {"spread": "ask_prices[1] - bid_prices[1]", "imbalance": "(bid - ask) / nullif(bid + ask, 0)"}[name]
    return MarketPanel(
        title, doc, drawing.lines(unit),
        Cql(
            f'SELECT symbol, {cql} AS {name}, bucket_time AS time FROM "$feed".{BOOK}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(Bucket.HOUR, BOOK_HOURS)} AND {within('bucket_time')}"
        ),
        Get(f"/{BOOK}", (("symbol", "$symbol"), *RANGE), [("bucket_time", "time", TIME), (name, name, NUMBER)]),
        Sql(
            f'SELECT bucket_time AS time, ({sql})::float8 AS {name} FROM "$feed".{BOOK},'
            " LATERAL (SELECT sum(q) AS bid FROM unnest(bid_quantities) AS q) AS bids,"
            " LATERAL (SELECT sum(q) AS ask FROM unnest(ask_quantities) AS q) AS asks"
            f" WHERE symbol = {SYMBOL} AND $__timeFilter(bucket_time) ORDER BY 1"
        ),
        drawing.in_time(), width=6,
    )  # fmt: skip
