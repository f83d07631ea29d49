"""Rows as JSON: nothing is rounded, times appear in two forms."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_api.shapes import digits, schema, shaper
from cryptocdc_core.catalogue import Column, Type
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, ORDER_BOOK, RECENT_TRADES

COLUMNS = (
    Column("symbol", Type.TEXT, ""), Column("at", Type.TIMESTAMP, ""), Column("price", Type.DECIMAL, ""),
    Column("prices", Type.DECIMALS, ""), Column("id", Type.BIGINT, ""), Column("closed", Type.BOOLEAN, ""),
)  # fmt: skip


def test_driver_rows_and_changes_have_the_same_json() -> None:
    shape = shaper(COLUMNS)
    at = datetime(2026, 11, 21, 10, 0, 0, 7000)
    of_driver = shape(("BTCUSDT", at, Decimal("0.00000100"), [Decimal("1E-8")], 7, True))
    at_ms = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    of_change = shape(("BTCUSDT", at_ms, "0.00000100", ["0.00000001"], 7, True))
    assert of_driver == of_change
    assert of_driver == {
        "symbol": "BTCUSDT", "at": "2026-11-21T10:00:00.007Z", "at_ms": at_ms, "price": "0.00000100",
        "prices": ["0.00000001"], "id": 7, "closed": True,
    }  # fmt: skip


def test_a_null_time_is_null_in_both_of_its_fields() -> None:
    assert shaper(COLUMNS)(["BTCUSDT", *[None] * 5]) == {
        "symbol": "BTCUSDT", "at": None, "at_ms": None, "price": None, "prices": None, "id": None, "closed": None,
    }  # fmt: skip


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_a_decimal_keeps_every_digit(value: Decimal) -> None:
    text = digits(value)
    assert "E" not in text
    assert Decimal(text).as_tuple() == value.as_tuple()


def test_the_schema_has_exactly_the_fields_of_the_rows() -> None:
    for stream in (RECENT_TRADES, ORDER_BOOK):
        row = shaper(stream.columns)([None] * len(stream.columns))
        described = schema(stream.columns)["items"]["properties"]
        assert set(row) == set(described)


def test_the_schema_marks_nullable_fields() -> None:
    described = schema(CRYPTO_24H_STATS.columns, vwap_20="")["items"]["properties"]
    null = {name for name, made in described.items() if "null" in made["type"]}
    assert null == {c.name for c in CRYPTO_24H_STATS.nullable} | {"open_time_ms", "close_time_ms", "vwap_20"}
    assert described["trade_count"]["type"] == ["integer", "null"]
    assert described["last_price"]["type"] == "string"
