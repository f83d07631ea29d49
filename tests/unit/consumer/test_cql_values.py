"""Serialized values are read back by Cassandra's own driver digit for digit."""

from decimal import Decimal

import pytest
from cassandra.cqltypes import BooleanType, DecimalType, Int32Type, ListType, LongType, UTF8Type
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_consumer import cql
from cryptocdc_core.catalogue import Type
from cryptocdc_core.rows.changes import UNAVAILABLE

PROTOCOL = 5

decimal_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True)


def body(value: bytes) -> bytes:
    """The value behind its length, which must be right."""
    assert int.from_bytes(value[:4], "big") == len(value) - 4
    return value[4:]


@given(decimal_texts)
def test_a_decimal_keeps_every_digit(text):
    read = DecimalType.deserialize(body(cql.decimal(text)), PROTOCOL)
    assert read.as_tuple()[1:] == Decimal(text).as_tuple()[1:]
    assert read == Decimal(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_a_decimal_is_serialised_as_the_driver_would(number):
    text = format(number, "f")
    ours = body(cql.decimal(text))
    assert DecimalType.deserialize(ours, PROTOCOL) == number
    if number:  # the driver writes -0 unchanged, we write 0: the same to Cassandra
        assert ours == DecimalType.serialize(number, PROTOCOL)


@pytest.mark.parametrize(
    ("text", "scale"), [("0.35130000", 8), ("0.00000000", 8), ("5", 0), ("1E-8", 8), ("0E-8", 8), ("1.5e+3", -2)]
)
def test_trailing_zeros_and_exponents_give_the_scale(text, scale):
    read = DecimalType.deserialize(body(cql.decimal(text)), PROTOCOL)
    assert -read.as_tuple().exponent == scale
    assert read == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "Infinity", "1_000", " 1", "1.", ".5", "1.5.5", "+1.5", "0x10", "١", "١.٥", "1" * 201, "1e9999"],
)
def test_invalid_decimals_are_refused_by_type(text):
    with pytest.raises(cql.Unencodable, match="decimal"):
        cql.decimal(text)


@given(st.lists(decimal_texts, max_size=20))
def test_a_list_of_decimals_round_trips(texts):
    kind = ListType.apply_parameters([DecimalType])
    assert kind.deserialize(body(cql.decimals(texts)), PROTOCOL) == [Decimal(text) for text in texts]


def test_an_unavailable_toast_value_is_encoded_as_unset():
    assert cql.decimal(UNAVAILABLE) == cql.UNSET
    assert cql.decimals([UNAVAILABLE]) == cql.UNSET


@given(st.text(max_size=50))
def test_text_round_trips(value):
    assert UTF8Type.deserialize(body(cql.text(value)), PROTOCOL) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_and_times_round_trip(value):
    for kind in (Type.BIGINT, Type.TIMESTAMP):
        assert LongType.deserialize(body(cql.ENCODERS[kind](value)), PROTOCOL) == value
    small = value % 2**31
    assert Int32Type.deserialize(body(cql.ENCODERS[Type.INTEGER](small)), PROTOCOL) == small
    assert BooleanType.deserialize(body(cql.ENCODERS[Type.BOOLEAN](value > 0)), PROTOCOL) == (value > 0)


def test_a_missing_number_is_encoded_as_null():
    assert cql.bigint(None) == cql.NULL


def test_routing_keys_are_composed_as_cassandra_does():
    assert cql.routing_key([cql.text("BTC")]) == b"BTC"
    composite = cql.routing_key([cql.text("BTC"), cql.bigint(7)])
    assert composite == b"\x00\x03BTC\x00" + b"\x00\x08" + (7).to_bytes(8, "big") + b"\x00"
