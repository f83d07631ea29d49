"""The report: its contents, and when it is equal."""

import json

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.storage.windows import END_OF_TIME, Partition, Window
from cryptocdc_verifier.comparing.tables import Difference, TableResult
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.retention import proven

NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z
PRICES = by_table("latest_prices")


def report(**tables):
    return Report("majors", "simulated", Window(0, END_OF_TIME), NOON, tables=tables)


def with_a_missing_row(at):
    result = TableResult(rows=5, buckets=1)
    key = (b"BTCUSDT", str(at).encode())
    result.count(Difference(PRICES, Partition(("BTCUSDT",), 0), key, b"\t".join([*key, b"1", b"2", b"3"]), None))
    return result


def test_equal_tables_are_proven_through_the_moment_of_the_snapshot():
    document = report(klines=TableResult(rows=3, buckets=1)).to_json()
    assert list(document) == [
        "feed", "source", "equal", "proven_through", "window", "rows", "missing", "extra", "different", "quarantined",
        "tables",
    ]  # fmt: skip
    assert document["equal"] is True
    assert document["proven_through"] == document["window"]["to"] == "2026-11-21T12:00:00.000Z"
    assert list(document["tables"]["klines"]) == ["rows", "missing", "extra", "different", "buckets", "proven_through"]
    json.dumps(document)


def test_comparing_no_rows_is_a_failure():
    document = report(klines=TableResult()).to_json()
    assert document["equal"] is False
    assert document["proven_through"] is None
    assert document["reason"].startswith("nothing was compared")


def test_a_difference_limits_what_is_proven_of_its_table():
    document = report(klines=TableResult(rows=3), latest_prices=with_a_missing_row(NOON - 60_000)).to_json()
    assert (document["equal"], document["reason"]) == (False, "1 missing")
    assert document["proven_through"] == "2026-11-21T11:59:00.000Z"
    assert document["tables"]["klines"]["proven_through"] == "2026-11-21T12:00:00.000Z"


def test_dead_letters_are_reported_even_if_nothing_differs():
    told = report(klines=TableResult(rows=3))
    told.quarantined, told.quarantined_symbols = 2, {"BTCUSDT": 2}
    document = told.to_json()
    assert (document["equal"], document["quarantined"]) == (True, 2)


def test_a_partition_may_be_dropped_once_it_is_proven_and_every_slot_has_passed():
    day = Window(0, 86_400_000)
    halves = [Proof(Window(0, 43_200_000), 1, 1, 50), Proof(Window(43_200_000, 86_400_000), 1, 1, 70)]

    def slot(confirmed, status="reserved"):
        return Slot("s", confirmed, True, status, 0)

    assert proven(day, halves, [slot(70)])
    assert proven(day, halves, [slot(70), slot(71)])
    assert not proven(day, halves, [slot(70), slot(69)])
    assert not proven(day, halves[:1], [slot(70)])
    assert not proven(day, [], [slot(70)])
    assert not proven(day, halves, [slot(70), slot(70, "lost")])
    assert not proven(day, halves, [slot(70), None])
