"""Which Cassandra partitions a query of Grafana names."""

from cryptocdc_grafana.cql import newest_of

from cryptocdc_core.catalogue import Bucket, by_table


def test_a_query_for_candles_names_the_partitions_of_every_interval() -> None:
    """Those of `1s` are days, all others months; the query does not know which interval the variable holds."""
    assert newest_of(by_table("klines"), {Bucket.MONTH: 2, Bucket.DAY: 1}) == (
        "month IN (floor((timestamp)$__timeTo, 1mo), floor((timestamp)$__timeTo - 1mo, 1mo),"
        " floor((timestamp)$__timeTo, 1d))"
    )
