"""`/trace`: the requested row, its record found by its audit, and what is reported if there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.unit.api.doubles import Api, Tables
from tests.unit.api.rows import rows

from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.rows.hops import Sent, Values, Written, exact
from cryptocdc_core.time.times import now_ms

LSN = 17


class Records:
    """Replaces Kafka: one record, or a failure."""

    def __init__(self, values: Values | None = None, error: Exception | None = None) -> None:
        self.values, self.error = values, error
        self.asked: list[tuple[Values, int, int]] = []

    def find(
        self, stream: Stream, key: Values, from_ms: int, until_ms: int, limit_s: float,
        is_it: Callable[[Any], bool] | None = None,
    ) -> Sent | None:  # fmt: skip
        self.asked.append((key, from_ms, until_ms))
        if self.error is not None:
            raise self.error
        if self.values is None or any(self.values[name] != key[name] for name in stream.key):
            return None

        class Found:
            lsn = LSN

        if is_it is not None and not is_it(Found):
            return None
        return Sent("majors_sim.majors_sim.t", 3, 41, now_ms(), 200, "c", LSN, 5, self.values)


TRADES = rows("recent_trades", 3, trade_id=lambda number: number)
STREAM = by_table("recent_trades")
NEWEST = exact(STREAM, dict(zip(STREAM.column_names, TRADES[-1], strict=True)))
AT = NEWEST["trade_time"]
AUDIT = {"op": "c", "lsn": LSN, "committed_at": AT + 3, "produced_at": AT + 5, "written_at": AT + 9}


def api(records: Records | None = None, audit: Values | None = None, there: bool = True) -> Api:
    tables = Tables({"recent_trades": TRADES, "latest_prices": [], "newest_prices": rows("latest_prices", 1)})
    if there:
        row = Written("majors_sim.recent_trades", 0, NEWEST, AT * 1000, 60, AUDIT if audit is None else audit)
        tables.ones = {("recent_trades", *(NEWEST[name] for name in STREAM.key)): row}
    return Api(tables, finder=records or Records(NEWEST))


def test_the_newest_row_of_a_symbol_is_traced_through_every_hop() -> None:
    records = Records(NEWEST)
    answer = api(records).get("/trace", table="recent_trades", symbol="btcusdt")
    assert answer.status == 200
    found = answer.json()
    assert found["key"] == {"symbol": "BTCUSDT", "trade_time": found["hops"][0]["at"], "trade_id": 2}
    assert [hop["hop"] for hop in found["hops"]] == ["exchange", "producer", "postgres", "kafka", "cassandra"]
    assert found["hops"][3]["facts"]["offset"] == 41
    assert found["hops"][2]["facts"]["lsn"] == "0/11"
    assert "not queried" in found["hops"][2]["note"]
    assert found["equal"] is True
    # The audit locates the record to the millisecond.
    ((_, start, end),) = records.asked
    assert (start, end) == (AT + 5, AT + 1005)


def test_a_row_is_found_by_its_key() -> None:
    found = api().get("/trace", table="recent_trades", symbol="BTCUSDT", trade_time=AT, trade_id=2).json()
    assert found["key"]["trade_id"] == 2
    nothing = api().get("/trace", table="recent_trades", symbol="BTCUSDT", trade_time=AT, trade_id=99)
    assert nothing.status == 404
    assert nothing.json()["errors"][0]["field"] == "key"


def test_a_row_missing_from_cassandra_is_traced_as_far_as_kafka() -> None:
    found = api(there=False).get("/trace", table="recent_trades", symbol="BTCUSDT", trade_time=AT, trade_id=2).json()
    assert found["equal"] is False
    assert found["compared"] == ["kafka"]
    assert found["hops"][4] | {"facts": {}} == found["hops"][4]
    assert (found["hops"][4]["at"], found["hops"][4]["note"]) == (None, "not found")


def test_a_difference_names_the_differing_columns() -> None:
    found = api(Records(NEWEST | {"price": "1.00"})).get("/trace", table="recent_trades", symbol="BTCUSDT").json()
    assert found["equal"] is False
    assert found["differing"] == {"cassandra": ["price"]}


def test_a_record_of_another_change_is_not_mistaken_for_the_row_s_own() -> None:
    found = api(audit=AUDIT | {"lsn": 18}).get("/trace", table="recent_trades", symbol="BTCUSDT").json()
    assert found["compared"] == ["cassandra"]
    assert "no longer" in found["hops"][3]["note"]
    assert found["hops"][3]["at"] is not None, "its audit has the time of the hop"


def test_without_kafka_the_hops_come_from_the_audit() -> None:
    down = Records(error=KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    answer = api(down).get("/trace", table="recent_trades", symbol="BTCUSDT")
    assert answer.status == 200
    found = answer.json()
    assert "Kafka does not answer" in found["hops"][3]["note"]
    assert found["hops"][2]["source"] == "Cassandra's audit"


@pytest.mark.parametrize(
    ("query", "field", "status"),
    [
        ({"table": "nope", "symbol": "BTCUSDT"}, "table", 400),
        ({"table": "recent_trades"}, "symbol", 400),
        ({"table": "recent_trades", "symbol": "NOSUCH"}, "symbol", 404),
        ({"table": "recent_trades", "symbol": "BTCUSDT", "trade_id": 3}, "trade_time", 400),
        ({"table": "recent_trades", "symbol": "BTCUSDT", "bucket_time": 3}, "bucket_time", 400),
        ({"table": "klines", "symbol": "BTCUSDT", "interval": "3m"}, "interval", 404),
        ({"table": "klines", "symbol": "BTCUSDT"}, "symbol", 404),
        ({"table": "recent_trades", "symbol": "BTCUSDT", "trade_id": 2**63, "trade_time": 0}, "trade_id", 400),
    ],
)
def test_an_invalid_trace_request_names_the_field(query: dict[str, Any], field: str, status: int) -> None:
    answer = api().get("/trace", **query)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (status, field)


def test_only_captured_tables_are_traced() -> None:
    answer = Api(Tables({}), streams=["klines"]).get("/trace", table="order_book", symbol="BTCUSDT")
    assert (answer.status, answer.json()["errors"][0]["accepted"]) == (404, "klines")


def test_without_cassandra_the_response_is_503() -> None:
    made = api()
    made.tables.up = False
    answer = made.get("/trace", table="recent_trades", symbol="BTCUSDT", trade_time=AT, trade_id=2)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
