"""Cassandra's pages become Arrow's columns with the same values, to the digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow")

from tests.unit.exporter.made import cell, decimal, page, rows_of  # noqa: E402

from cryptocdc_core.catalogue import COMPUTED, STREAMS, Stream, Type  # noqa: E402
from cryptocdc_core.catalogue.streams import LATEST_PRICES, ORDER_BOOK, RECENT_TRADES  # noqa: E402
from cryptocdc_exporter.columns import Columns, TooPrecise, decimal_columns, schema  # noqa: E402
from cryptocdc_exporter.decimals import DoesNotFit, words  # noqa: E402
from cryptocdc_exporter.pages import split  # noqa: E402

EVERY = [*STREAMS.values(), *COMPUTED.values()]


def expected(stream: Stream, row: dict[str, Any]) -> dict[str, Any]:
    def value(kind: Type, given: Any) -> Any:
        if given is None:
            return None
        if kind is Type.DECIMAL:
            return Decimal(given)
        if kind is Type.DECIMALS:
            return [Decimal(one) for one in given]
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=given) if kind is Type.TIMESTAMP else given

    return {column.name: value(column.type, row[column.name]) for column in stream.columns}


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("stream", EVERY, ids=lambda stream: stream.table)
def test_every_column_of_every_stream_is_exact_and_null_stays_null(stream: Stream, nulls: bool) -> None:
    rows = rows_of(stream, 60, nulls=nulls)
    batch = Columns(stream, ()).batch(page(stream, rows), ["BTCUSDT"] * len(stream.partition))
    batch.validate(full=True)
    assert batch.to_pylist() == [expected(stream, row) for row in rows]


def test_the_columns_are_those_of_the_catalogue_and_times_are_microseconds_in_utc() -> None:
    found = schema(ORDER_BOOK, ())
    assert tuple(found.names) == ORDER_BOOK.column_names
    assert found.field("bucket_time").type == pa.timestamp("us", tz="UTC")
    assert found.field("bid_prices").type == pa.list_(pa.decimal128(38, 18))


def test_a_column_with_a_value_that_does_not_fit_is_named_and_becomes_text_with_all_its_digits() -> None:
    rows = rows_of(LATEST_PRICES, 3, nulls=False)
    rows[1]["price"] = "0.0000000000000000001"
    rows[2]["price"] = "1.50"
    with pytest.raises(TooPrecise, match=r"price: 1E-19 does not fit DECIMAL\(38,18\)") as refusal:
        Columns(LATEST_PRICES, ()).batch(page(LATEST_PRICES, rows), ["BTCUSDT"])
    batch = Columns(LATEST_PRICES, {refusal.value.column}).batch(page(LATEST_PRICES, rows), ["BTCUSDT"])
    assert batch.column("price").to_pylist()[1:] == ["0.0000000000000000001", "1.50"]


def test_lists_of_decimals_can_be_text() -> None:
    rows = rows_of(ORDER_BOOK, 2, nulls=False)
    rows[0]["bid_prices"], rows[1]["bid_prices"] = ["1.50", "1E-30"], []
    found = Columns(ORDER_BOOK, decimal_columns(ORDER_BOOK)).batch(page(ORDER_BOOK, rows), ["BTCUSDT"])
    assert found.column("bid_prices").to_pylist() == [["1.50", "0." + "0" * 29 + "1"], []]


def test_a_page_without_rows_gives_none() -> None:
    assert Columns(RECENT_TRADES, ()).batch(page(RECENT_TRADES, []), ["BTCUSDT"]).num_rows == 0


def test_a_row_written_by_hand_without_a_value_has_null() -> None:
    rows = rows_of(RECENT_TRADES, 3, nulls=False)
    rows[1] |= {"received_at": None, "price": None}
    found = Columns(RECENT_TRADES, ()).batch(page(RECENT_TRADES, rows), ["BTCUSDT"])
    assert [value.as_py() is None for value in found.column("received_at")] == [False, True, False]
    assert [value.as_py() is None for value in found.column("price")] == [False, True, False]
    assert found.column("version").to_pylist() == [row["version"] for row in rows]


fitting = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20) + 1, max_value=10**20 - 1, places=18)
any_scale = st.builds(lambda n, s: Decimal(f"{n}E{-s}"), st.integers(-(2**70), 2**70), st.integers(-20, 60))


@given(st.lists(st.one_of(fitting, any_scale), min_size=1, max_size=20))
def test_decimals_are_exact_or_refused(values: list[Decimal]) -> None:
    raw = b"".join(cell(decimal(value)) for value in values)
    (cells,) = split(len(values).to_bytes(4, "big") + raw, [None])
    scaled = [Fraction(value) * 10**18 for value in values]
    if all(value.denominator == 1 and abs(value) < 10**38 for value in scaled):
        found = [int(high) << 64 | int(low) for low, high in words(cells)]
        assert [number - (1 << 128) * (number >> 127) for number in found] == [int(value) for value in scaled]
    else:
        with pytest.raises(DoesNotFit):
            words(cells)
