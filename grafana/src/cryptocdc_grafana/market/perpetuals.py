"""The panels of perpetual contracts: mark and index price, funding, open interest, liquidations."""

from __future__ import annotations

from collections.abc import Iterator

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import LIQUIDATIONS, MARK_PRICES, OPEN_INTEREST
from cryptocdc_grafana import drawing, shaping
from cryptocdc_grafana.market.cql import newest_buckets, number, reported, separately, within
from cryptocdc_grafana.market.panel import NUMBER, SYMBOL, TEXT, TIME, WHOLE, MarketPanel
from cryptocdc_grafana.sources import Cql, Get, Source, Sql
from cryptocdc_grafana.tables import AS_IT_IS, Shown, rows

DAYS = 2
"""Partitions of a day each; the range covers the first and the last only in part."""
READ = {Source.CASSANDRA: "the last day of the range"}
LEAST = {"index_price": 0, "funding_rate": -1}
"""Of the displayed nullable columns."""
LIQUIDATION = {"time": Shown("dateTimeAsIso", width=200), "side": Shown(AS_IT_IS, width=90), "price": Shown(AS_IT_IS),
               "quantity": Shown(AS_IT_IS)}  # fmt: skip


def panels() -> Iterator[MarketPanel]:
    """Yield the panels in order; the widths of each row add up to 24."""
    yield _line(
        "Mark and index of $symbol", "The price at which positions are valued, and that of the spot markets, in the"
        " quote asset", "none", MARK_PRICES, "mark_price", "index_price",
    )  # fmt: skip
    yield _line("Funding of $symbol", "The current period's rate", "percentunit", MARK_PRICES, "funding_rate")
    yield _line("Open interest of $symbol", "In the base asset", "short", OPEN_INTEREST, "open_interest")
    yield _liquidations()


def _partitions(stream: Stream) -> str:
    return f"symbol = {SYMBOL} AND {newest_buckets(stream.bucket, DAYS)} AND {within(stream.time)}"


def _line(title: str, doc: str, unit: str, stream: Stream, *columns: str) -> MarketPanel:
    """Draw one point per step of the panel."""
    cql, *apart = (_means(stream, asked) for asked in separately(columns, LEAST))
    sql = ", ".join(f"avg({column}::float8) AS {column}" for column in columns)
    return MarketPanel(
        title, f"{doc}. Mean of each step of the graph.", drawing.lines(unit, fill=0), cql,
        Get(
            f"/{stream.table}", (("symbol", "$symbol"), *WHOLE),
            [("event_time", "time", TIME), *((column, column, NUMBER) for column in columns)],
        ),
        Sql(
            "SELECT date_bin('$__interval_ms milliseconds', event_time, TIMESTAMP 'epoch') AS time,"
            f' {sql} FROM "$feed".{stream.table} WHERE symbol = {SYMBOL} AND $__timeFilter(event_time)'
            " GROUP BY 1 ORDER BY 1"
        ),
        shaping.by_time(*columns), width=8, apart=tuple(apart), read=READ,
    )  # fmt: skip


def _means(stream: Stream, columns: list[str]) -> Cql:
    means = ", ".join(f"avg(CAST({column} AS double)) AS {column}" for column in columns)
    known = "".join(f" AND {reported(column, LEAST[column])}" for column in columns if column in LEAST)
    return Cql(
        f'SELECT symbol, {means}, floor(event_time, $__interval) AS time FROM "$feed".{stream.table}'
        f" WHERE {_partitions(stream)}{known}"
        f" GROUP BY symbol, {stream.bucket_column}, floor(event_time, $__interval){known and ' ALLOW FILTERING'}"
    )


def _liquidations() -> MarketPanel:
    return MarketPanel(
        "Liquidations of $symbol", "Positions that the exchange closed, newest first; it may report only some of them.",
        rows(LIQUIDATION),
        Cql(
            f"SELECT symbol, side, {number('price', 'price')}, {number('quantity', 'quantity')}, trade_time AS time"
            f' FROM "$feed".{LIQUIDATIONS.table} WHERE {_partitions(LIQUIDATIONS)}'
        ),
        Get(
            f"/{LIQUIDATIONS.table}", (("symbol", "$symbol"), *WHOLE),
            [("trade_time", "time", TIME), ("side", "side", TEXT), ("price", "price", NUMBER),
             ("quantity", "quantity", NUMBER)],
        ),
        Sql(
            'SELECT trade_time AS time, side, price::float8 AS price, quantity::float8 AS quantity'
            f' FROM "$feed".{LIQUIDATIONS.table} WHERE symbol = {SYMBOL} AND $__timeFilter(trade_time) ORDER BY 1 DESC'
        ),
        (shaping.MERGED, shaping.sorted_by("time", descending=True),
         shaping.ordered(*LIQUIDATION, without=["symbol"])),
        width=24, read=READ,
    )  # fmt: skip
