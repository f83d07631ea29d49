"""Which Cassandra partitions a query of Grafana names, and which rows it leaves out."""

from cryptocdc_grafana.market.all_panels import LEAST, panels
from cryptocdc_grafana.market.cql import newest_of
from cryptocdc_grafana.sources import Source

from cryptocdc_core.catalogue import Bucket, by_table
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES


def test_queries_leave_out_nulls_that_the_plugin_would_draw_as_0() -> None:
    """Its driver turns each null into the zero value of the column's type."""
    nullable = {column.name for stream in (KLINES, CRYPTO_24H_STATS) for column in stream.nullable}
    asked = [query.model["target"] for panel in panels() for query in panel.queries(Source.CASSANDRA)]
    shown = [(text, column) for text in asked for column in nullable if f"CAST({column} AS" in text]
    assert {column for _, column in shown} == {"trade_count", "price_change_percent"}
    for text, column in shown:
        assert f" AND {column} >= {LEAST[column]} ALLOW FILTERING" in text
        assert text.count("CAST(") == 1, "a row without this value still has the others"


def test_a_query_for_candles_names_the_partitions_of_every_interval() -> None:
    """Those of `1s` are days, all others months; the query does not know the variable's interval."""
    assert newest_of(by_table("klines"), {Bucket.MONTH: 2, Bucket.DAY: 1}) == (
        "month IN (floor((timestamp)$__timeTo, 1mo), floor((timestamp)$__timeTo - 1mo, 1mo),"
        " floor((timestamp)$__timeTo, 1d))"
    )
