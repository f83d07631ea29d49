"""The order book panels."""

from __future__ import annotations

from cryptocdc_core.catalogue import HEATMAP, Bucket
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, number, within
from cryptocdc_grafana.market.panel import NUMBER, RANGE, SYMBOL, SYMBOLS, TEXT, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.shaping import transformation
from cryptocdc_grafana.sources import Cql, Get, Source, Sql

BOOK = ORDER_BOOK.table
HEATMAP_HOURS, AVERAGED_HOURS = 3, 7
"""In partitions of an hour each; the range covers the first and the last one only in part."""


def _last(partitions: int) -> dict[Source, str]:
    return {Source.CASSANDRA: f"the last {partitions - 1} hours of the range"}


def _side(name: str) -> str:
    return f"CAST(collection_sum({name}_quantities) AS double)"


def depth_share() -> MarketPanel:
    def share(name: str) -> str:
        return f"{_side(name)} / ({_side('bid')} + {_side('ask')}) * 100 AS {name}"

    return MarketPanel(
        "Order book balance",
        "Each side's share of the quantity in the newest order book of each selected symbol. The quantities themselves"
        " are in different assets and can't be compared.",
        drawing.shares,
        Cql(
            f'SELECT symbol, {share("bid")}, {share("ask")} FROM "$feed".{BOOK}'
            f" WHERE symbol IN ({SYMBOLS}) AND {newest_buckets(Bucket.HOUR, 1)} PER PARTITION LIMIT 1"
        ),
        Get(
            f"/{BOOK}/newest", (("symbols", "${symbols:csv}"),),
            [("symbol", "symbol", TEXT), ("bid_percent", "bid", NUMBER), ("ask_percent", "ask", NUMBER)],
        ),
        Sql(
            "SELECT symbol, (bid / nullif(bid + ask, 0) * 100)::float8 AS bid,"
            " (ask / nullif(bid + ask, 0) * 100)::float8 AS ask FROM (SELECT DISTINCT ON (symbol) symbol,"
            " (SELECT sum(q) FROM unnest(bid_quantities) AS q) AS bid,"
            f' (SELECT sum(q) FROM unnest(ask_quantities) AS q) AS ask FROM "$feed".{BOOK}'
            f" WHERE symbol IN ({SYMBOLS}) AND bucket_time > (now() AT TIME ZONE 'UTC') - interval '1 hour'"
            " ORDER BY symbol, bucket_time DESC) AS newest"
        ),
        (shaping.MERGED, shaping.sorted_by("symbol"), shaping.ordered("symbol", "bid", "ask")), width=8, linked=True,
    )  # fmt: skip


def depth() -> MarketPanel:
    """PostgreSQL stores no price bins: its panel uses the levels of one book every ten seconds instead."""
    return MarketPanel(
        "Order book of $symbol",
        "Bid and ask quantity by price, every ten seconds: the stronger the colour, the larger. It is empty where the"
        " feed did not run or had just started, and at prices beyond the captured levels.",
        drawing.book_heatmap,
        Cql(
            f"SELECT symbol, {number('price_low', 'price')}, {number('bid_quantity + ask_quantity', 'quantity')},"
            f' bucket_time AS time FROM "$feed".{HEATMAP.table}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(Bucket.HOUR, HEATMAP_HOURS)} AND {within('bucket_time')}"
        ),
        Get(
            "/heatmap",
            (("symbol", "$symbol"), *WHOLE),
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
            shaping.MERGED,
            shaping.sorted_by("time"),
            transformation(
                "groupingToMatrix", rowField="time", columnField="price", valueField="quantity", emptyValue="zero"
            ),
            transformation("convertFieldType", conversions=[{"targetField": "time\\price", "destinationType": "time"}]),
        ), width=12, read=_last(HEATMAP_HOURS),
    )  # fmt: skip


def spread() -> MarketPanel:
    return _averaged(
        "Spread of $symbol", "Best ask minus best bid, in the quote asset", "spread", "none",
        "CAST(collection_min(ask_prices) - collection_max(bid_prices) AS double)", "ask_prices[1] - bid_prices[1]",
    )  # fmt: skip


def imbalance() -> MarketPanel:
    return _averaged(
        "Imbalance of $symbol", "Bid minus ask quantity, divided by their sum: from -1 to 1", "imbalance", "none",
        f"({_side('bid')} - {_side('ask')}) / ({_side('bid')} + {_side('ask')})",
        "(bid - ask) / nullif(bid + ask, 0)",
    )  # fmt: skip


def _averaged(title: str, doc: str, name: str, unit: str, cql: str, sql: str) -> MarketPanel:
    """Draw one point per step of the panel, not per book: a line with a point every second is a solid block."""
    return MarketPanel(
        title, f"{doc}. Mean of the books in each step of the graph.", drawing.lines(unit, fill=0),
        Cql(
            f'SELECT symbol, avg({cql}) AS {name}, floor(bucket_time, $__interval) AS time FROM "$feed".{BOOK}'
            f" WHERE symbol = {SYMBOL} AND {newest_buckets(Bucket.HOUR, AVERAGED_HOURS)} AND {within('bucket_time')}"
            " GROUP BY symbol, hour, floor(bucket_time, $__interval)"
        ),
        Get(
            f"/{BOOK}/averages",
            (("symbol", "$symbol"), *RANGE, ("step", "$__interval")),
            [("bucket_time", "time", TIME), (name, name, NUMBER)],
        ),
        Sql(
            "SELECT date_bin('$__interval_ms milliseconds', bucket_time, TIMESTAMP 'epoch') AS time,"
            f' avg(({sql})::float8) AS {name} FROM "$feed".{BOOK},'
            " LATERAL (SELECT sum(q) AS bid FROM unnest(bid_quantities) AS q) AS bids,"
            " LATERAL (SELECT sum(q) AS ask FROM unnest(ask_quantities) AS q) AS asks"
            f" WHERE symbol = {SYMBOL} AND $__timeFilter(bucket_time) GROUP BY 1 ORDER BY 1"
        ),
        shaping.by_time(name), width=12, read=_last(AVERAGED_HOURS),
    )  # fmt: skip
