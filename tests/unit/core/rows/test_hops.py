"""A row's trail: times and their differences, their sources, and whether all places have equal values."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK
from cryptocdc_core.rows.changes import Decoder
from cryptocdc_core.rows.hops import HOPS, Frame, Hop, Sent, Stored, Trail, Written, exact, hops_json, lsn_text, sent
from cryptocdc_core.storage.partitioning import change_partition, murmur2
from cryptocdc_core.time.times import iso_us

AT = 1_795_250_000_000
ROW = {"symbol": "BTCUSDT", "event_time": AT, "price": "0.35130000", "received_at": AT + 2, "version": AT * 1000}
KEY = {"symbol": "BTCUSDT", "event_time": AT}
STORED = Stored("majors.latest_prices", ROW, 7)
SENT = Sent("t", 3, 41, AT + 9, 200, "c", 0x1_16B3748, (AT + 5) * 1000 + 250, ROW)
AUDIT = {"op": "c", "lsn": 0x1_16B3748, "committed_at": AT + 5, "produced_at": AT + 9, "written_at": AT + 12}
WRITTEN = Written("majors.latest_prices", AT - AT % 86_400_000, ROW, AT * 1000, 60, AUDIT)


def trail(**more: Any) -> Trail:
    return Trail(LATEST_PRICES, KEY, **{"stored": STORED, "sent": SENT, "written": WRITTEN, **more})


def by_name(found: Trail) -> dict[str, dict[str, Any]]:
    return {hop["hop"]: hop for hop in found.to_json()["hops"]}


def test_each_hop_has_its_time_and_the_time_since_the_one_before() -> None:
    hops = by_name(trail())
    assert tuple(hops) == HOPS
    assert [hop["after_ms"] for hop in hops.values()] == [None, 2.0, 3.25, 3.75, 3.0]
    assert hops["postgres"]["at"] == iso_us((AT + 5) * 1000 + 250)
    assert hops["postgres"]["facts"] == {
        "table": "majors.latest_prices", "xmin": 7, "version": AT * 1000, "op": "c", "lsn": "0/116B3748",
    }  # fmt: skip
    assert hops["kafka"]["facts"] == {"topic": "t", "partition": 3, "offset": 41, "bytes": 200}
    assert (hops["cassandra"]["facts"]["writetime"], hops["cassandra"]["facts"]["ttl_s"]) == (AT * 1000, 60)
    assert trail().to_json()["took_ms"] == 12.0


def test_hops_known_only_from_the_audit_name_it_as_their_source() -> None:
    hops = by_name(trail(stored=None, sent=None, notes={"kafka": "gone"}))
    assert (hops["postgres"]["source"], hops["kafka"]["source"]) == ("Cassandra's audit", "Cassandra's audit")
    assert (hops["postgres"]["at"], hops["kafka"]["at"]) == (iso_us((AT + 5) * 1000), iso_us((AT + 9) * 1000))
    assert hops["kafka"]["note"] == "gone"
    assert hops["kafka"]["facts"] == {}


def test_a_row_that_has_not_arrived_is_not_equal() -> None:
    found = trail(written=None)
    assert not found.equal
    assert found.differing == {}
    hops = by_name(found)
    assert (hops["cassandra"]["at"], hops["cassandra"]["note"]) == (None, "not found")
    assert found.took_ms is None


@pytest.mark.parametrize("price", ["0.3513", "0.35130001"])
def test_values_differ_by_one_digit_or_a_trailing_zero(price: str) -> None:
    found = trail(written=replace(WRITTEN, values=ROW | {"price": price}))
    assert found.differing == {"cassandra": ["price"]}
    assert not found.equal


@pytest.mark.parametrize("other", [0, "0", ""])
def test_null_equals_only_null(other: object) -> None:
    row = dict.fromkeys(CRYPTO_24H_STATS.column_names, None) | {"symbol": "BTC-USD", "event_time": AT, "version": 1}
    places = {"stored": replace(STORED, values=row), "written": replace(WRITTEN, values=row), "sent": None}
    found = Trail(CRYPTO_24H_STATS, {"symbol": "BTC-USD", "event_time": AT}, **places)  # type: ignore[arg-type]
    assert found.equal
    assert found.to_json()["values"]["cassandra"]["open_time"] is None
    found.written = replace(WRITTEN, values=row | {"trade_count": other})
    assert found.differing == {"cassandra": ["trade_count"]}


def test_a_frame_is_compared_only_in_the_columns_it_has() -> None:
    values = {name: value for name, value in ROW.items() if name != "received_at"}
    frame = Frame("{}", "btcusdt@miniTicker", AT * 1000, values)
    assert trail(frame=frame).equal
    assert trail(frame=frame).compared == ["exchange", "postgres", "kafka", "cassandra"]
    assert trail(frame=replace(frame, values=values | {"price": "1"})).differing == {"exchange": ["price"]}
    assert trail(frame=replace(frame, values=None)).compared == ["postgres", "kafka", "cassandra"]


def test_a_delete_is_not_compared_and_explains_the_missing_row() -> None:
    found = trail(stored=None, written=None, sent=replace(SENT, op="d", values=KEY))
    assert found.held == {}
    assert by_name(found)["cassandra"]["note"].startswith("deleted")
    assert not found.equal


def test_a_row_without_audit_is_reported_as_written_by_hand() -> None:
    found = trail(stored=None, sent=None, written=replace(WRITTEN, audit={}))
    assert "by hand" in by_name(found)["cassandra"]["source"]
    assert found.took_ms is None


def test_an_empty_trail_still_has_all_hops() -> None:
    found = Trail(LATEST_PRICES, KEY).to_json()
    assert [hop["hop"] for hop in found["hops"]] == list(HOPS)
    assert not found["equal"]
    assert found["values"] == {}


@given(st.lists(st.one_of(st.none(), st.integers(AT * 1000, AT * 1000 + 10**12)), min_size=1, max_size=6))
def test_the_times_between_hops_add_up_to_the_total(times: list[int | None]) -> None:
    known = [at for at in times if at is not None]
    after = [hop["after_ms"] for hop in hops_json([Hop("kafka", at, "", {}) for at in times])]
    assert sum(round(1000 * ms) for ms in after if ms is not None) == (known[-1] - known[0] if known else 0)


def test_driver_rows_and_changes_have_the_same_exact_form() -> None:
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=AT)
    book = {
        "symbol": "BTCUSDT", "bucket_time": moment, "last_update_id": 5, "bid_prices": [Decimal("1.50")],
        "bid_quantities": [Decimal("2.0")], "ask_prices": [], "ask_quantities": [], "event_time": moment,
        "received_at": moment, "version": 1,
    }  # fmt: skip
    spelled = exact(ORDER_BOOK, book)
    assert (spelled["bid_prices"], spelled["bucket_time"]) == (["1.50"], AT)
    assert exact(ORDER_BOOK, spelled) == spelled
    assert exact(ORDER_BOOK, {**book, "last_update_id": None})["last_update_id"] is None
    price = exact(LATEST_PRICES, {**ROW, "event_time": moment, "price": Decimal("0.00000000")})
    assert price["price"] == "0.00000000", "no exponent"


def test_a_decoded_change_has_the_row_s_values() -> None:
    value = (
        b'{"symbol":"BTCUSDT","event_time":%d,"price":"0.35130000","received_at":%d,"version":%d,"__deleted":"false",'
        b'"__op":"c","__lsn":17,"__source_ts_us":5}' % (AT, AT + 2, AT * 1000)
    )
    found = sent(LATEST_PRICES, Decoder(LATEST_PRICES).decode(value), "t", 1, 2, AT, len(value))
    assert (found.values, found.lsn, found.committed_us, found.offset) == (ROW, 17, 5, 2)


@pytest.mark.parametrize(("lsn", "text"), [(0, "0/0"), (0x16B3748, "0/16B3748"), (0xFF_0000_00FF, "FF/FF")])
def test_an_lsn_is_formatted_as_by_postgresql(lsn: int, text: str) -> None:
    assert lsn_text(lsn) == text


def test_the_partition_of_a_change_follows_from_debezium_s_key() -> None:
    assert change_partition("BTCUSDT", 12) == (murmur2(b'{"symbol":"BTCUSDT"}') & 0x7FFFFFFF) % 12


def test_every_stream_has_the_columns_that_a_trail_needs() -> None:
    for stream in STREAMS.values():
        assert {stream.event, stream.time, "received_at", "version"} <= set(stream.column_names)
