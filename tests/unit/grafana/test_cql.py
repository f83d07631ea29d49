"""Which Cassandra partitions a query of Grafana names, and which rows it leaves out."""

import re

from cryptocdc_grafana.market.all_panels import OPTIONAL, panels
from cryptocdc_grafana.market.cql import newest_of, separately
from cryptocdc_grafana.sources import Source

from cryptocdc_core.catalogue import COMPUTED, NEWEST_STATS, STREAMS, Bucket, by_table

STREAM_OF = {stream.table: stream for stream in (*STREAMS.values(), *COMPUTED.values())} | {
    NEWEST_STATS.table: STREAMS["crypto24hStats"]
}


def queries() -> list[tuple[str, str]]:
    """Return the title of each panel with each of its queries to Cassandra."""
    every = [*panels(), *(panel for optional in OPTIONAL.values() for panel in optional())]
    return [(it.title, query.model["target"]) for it in every for query in it.queries(Source.CASSANDRA)]


def named(column: str, text: str) -> bool:
    return re.search(rf"\b{column}\b", text) is not None


def test_queries_leave_out_nulls_that_the_plugin_would_draw_as_0() -> None:
    """Its driver turns each null into the zero value of the column's type."""
    seen = set()
    for title, text in queries():
        chosen, _, rest = text.partition(' FROM "$feed".')
        table, _, where = rest.partition(" WHERE ")
        for column in STREAM_OF[table].nullable if table in STREAM_OF else ():
            if named(column.name, chosen):
                seen.add(column.name)
                assert re.search(rf"\b{column.name} >= -?[0-9]+ .*ALLOW FILTERING$", where), (title, column.name)
    assert {"trade_count", "price_change_percent", "vwap", "mid", "score", "bid_price", "index_price"} <= seen


def test_a_row_without_a_nullable_value_still_has_those_that_are_never_null() -> None:
    for title, text in queries():
        chosen, _, rest = text.partition(' FROM "$feed".')
        table, _, _ = rest.partition(" WHERE ")
        stream = STREAM_OF.get(table)
        if stream is None or not any(named(column.name, chosen) for column in stream.nullable):
            continue
        others = {it.name for it in stream.columns if not it.nullable and named(it.name, chosen)}
        assert others <= {*stream.key, stream.time}, title


def test_nullable_columns_are_queried_one_by_one_after_the_others() -> None:
    assert separately(("a", "b", "c", "d"), {"b": 0, "c": 0}) == [["a", "d"], ["b"], ["c"]]
    assert separately(("b",), {"b": 0}) == [["b"]]


def test_a_query_for_candles_names_the_partitions_of_every_interval() -> None:
    """Those of `1s` are days, all others months; the query does not know the variable's interval."""
    assert newest_of(by_table("klines"), {Bucket.MONTH: 2, Bucket.DAY: 1}) == (
        "month IN (floor((timestamp)$__timeTo, 1mo), floor((timestamp)$__timeTo - 1mo, 1mo),"
        " floor((timestamp)$__timeTo, 1d))"
    )
