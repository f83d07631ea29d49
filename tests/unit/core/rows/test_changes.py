"""Change records, in every format that Debezium can be configured to send."""

import base64
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.catalogue.streams import LATEST_PRICES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.rows.changes import UNAVAILABLE, Decoder, Undecodable, record_end, record_key, record_value
from cryptocdc_core.rows.typed import LatestPricesRow

META: dict[str, Any] = {"__deleted": "false", "__op": "c", "__lsn": 17, "__source_ts_us": 1_795_250_000_000_123}
PRICE: dict[str, Any] = {
    "symbol": "BTCUSDT", "event_time": 1000, "price": "0.35130000", "received_at": 1001, "version": 1_000_000,
}  # fmt: skip
BOOK = {
    "symbol": "BTCUSDT", "bucket_time": 1000, "last_update_id": 5, "bid_prices": ["1.50"], "bid_quantities": ["2.0"],
    "ask_prices": [], "ask_quantities": [], "event_time": 1000, "received_at": 1001, "version": 1_000_000,
}  # fmt: skip


def decode(stream, document):
    return msgspec.to_builtins(Decoder(stream).decode(json.dumps(document).encode()))


def scaled(text):
    """Return a decimal like Connect's Decimal: base64 of its unscaled value, and its scale."""
    unscaled, scale = int(text.replace(".", "")), len(text.partition(".")[2])
    size = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
    return base64.b64encode(unscaled.to_bytes(size, "big", signed=True)).decode(), scale


def decimal_schema(field, scale):
    name = "org.apache.kafka.connect.data.Decimal"
    return {"type": "bytes", "name": name, "parameters": {"scale": str(scale)}, "field": field}


OURS = decode(LATEST_PRICES, PRICE | META)


@pytest.mark.parametrize("row", [PRICE, LatestPricesRow(**PRICE)])
def test_a_record_of_another_source_has_the_form_of_our_connector_s(row):
    value = record_value(row, record_end("c", META["__source_ts_us"]))

    assert json.loads(value) == PRICE | META | {"__lsn": None}
    assert json.loads(record_key("BTCUSDT")) == {"symbol": "BTCUSDT"}
    assert b": " not in record_key("BTCUSDT"), "the partition of a symbol depends on the key's bytes"


def test_the_flat_record_of_our_connector_is_decoded():
    assert {name: value for name, value in (PRICE | META).items() if name != "__deleted"} == OURS


def test_a_record_with_its_schema_is_decoded():
    document = {"schema": {"type": "struct", "fields": []}, "payload": PRICE | META}
    assert decode(LATEST_PRICES, document) == OURS


@pytest.mark.parametrize("op", ["c", "u", "r"])
def test_a_debezium_envelope_is_decoded(op):
    envelope = {
        "before": None, "after": PRICE, "op": op, "source": {"lsn": 17, "ts_us": META["__source_ts_us"]}, "ts_ms": 1,
    }  # fmt: skip
    assert decode(LATEST_PRICES, envelope) == OURS | {"__op": op}


def test_the_envelope_of_a_delete_gives_what_was_there_before():
    before = PRICE | {"price": "0", "received_at": 0, "version": 0}
    envelope = {"before": before, "after": None, "op": "d", "source": {"lsn": 17, "ts_ms": 1_795_250_000_000}}
    found = decode(LATEST_PRICES, envelope)
    assert (found["__op"], found["symbol"], found["event_time"]) == ("d", "BTCUSDT", 1000)
    assert found["__source_ts_us"] == 1_795_250_000_000_000


def test_a_delete_whose_other_columns_are_null_or_missing_is_known_by_its_key():
    key = {"symbol": "BTCUSDT", "event_time": 1000}
    for rest in ({}, {"price": None, "received_at": None, "version": None}):
        envelope = {"before": key | rest, "after": None, "op": "d", "source": {"lsn": 17, "ts_us": 5}}
        found = decode(LATEST_PRICES, envelope)
        assert {name: found[name] for name in key} == key
        assert found["__op"] == "d"
    with pytest.raises(Undecodable, match="event_time"):
        decode(LATEST_PRICES, {"before": {"symbol": "B"}, "after": None, "op": "d", "source": {"lsn": 1, "ts_us": 5}})


def test_a_delete_rewritten_by_debezium():
    zeroed = BOOK | {"last_update_id": 0, "bid_prices": [], "bid_quantities": [], "version": 0, "event_time": 0}
    found = decode(ORDER_BOOK, zeroed | META | {"__deleted": "true", "__op": "d"})
    assert (found["__op"], found["bucket_time"]) == ("d", 1000)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8).map(lambda d: format(d, "f")))
def test_base64_decimals_with_their_scale_keep_every_digit(text):
    raw, scale = scaled(text)
    schema = {"type": "struct", "fields": [decimal_schema("price", scale)]}
    found = decode(LATEST_PRICES, {"schema": schema, "payload": PRICE | META | {"price": raw}})
    assert Decimal(found["price"]).as_tuple()[1:] == Decimal(text).as_tuple()[1:]
    assert Decimal(found["price"]) == Decimal(text)


def test_base64_decimals_in_an_envelope_and_in_arrays():
    raw, scale = scaled("1.50")
    row = {"type": "struct", "field": "after", "fields": [
        {"type": "array", "field": "bid_prices", "items": decimal_schema("x", scale)}
    ]}  # fmt: skip
    envelope = {"before": None, "after": BOOK | {"bid_prices": [raw]}, "op": "c", "source": {"lsn": 1, "ts_us": 1}}
    found = decode(ORDER_BOOK, {"schema": {"type": "struct", "fields": [row]}, "payload": envelope})
    assert found["bid_prices"] == ["1.50"]


def test_variable_scale_decimals_are_decoded_exactly():
    raw, scale = scaled("35130.12000000")
    assert decode(LATEST_PRICES, PRICE | META | {"price": {"scale": scale, "value": raw}})["price"] == "35130.12000000"
    books = decode(ORDER_BOOK, BOOK | META | {"bid_prices": [{"scale": scale, "value": raw}]})
    assert books["bid_prices"] == ["35130.12000000"]


def test_an_untouched_large_value_is_distinguished_from_data():
    assert decode(ORDER_BOOK, BOOK | META | {"bid_prices": UNAVAILABLE})["bid_prices"] == [UNAVAILABLE]
    assert decode(ORDER_BOOK, BOOK | META | {"bid_prices": [UNAVAILABLE]})["bid_prices"] == [UNAVAILABLE]


def test_an_unknown_position_is_none():
    assert decode(LATEST_PRICES, PRICE | META | {"__lsn": None})["__lsn"] is None


@pytest.mark.parametrize("column", [c.name for c in ORDER_BOOK.columns])
def test_a_null_is_none_where_the_column_is_nullable_and_undecodable_elsewhere(column):
    enveloped = {"before": None, "after": BOOK | {column: None}, "op": "c", "source": {"lsn": 17, "ts_us": 5}}
    for document in (BOOK | META | {column: None}, enveloped):
        if column == "last_update_id":
            assert decode(ORDER_BOOK, document)[column] is None
        else:
            with pytest.raises(Undecodable, match=rf"got `null` - at `\$\.{column}`"):
                decode(ORDER_BOOK, document)


def test_a_nullable_column_that_is_missing_is_not_a_null():
    without = {name: value for name, value in BOOK.items() if name != "last_update_id"}
    with pytest.raises(Undecodable, match="missing required field `last_update_id`"):
        decode(ORDER_BOOK, without | META)


def test_unknown_columns_are_ignored_and_listed():
    decoder = Decoder(LATEST_PRICES)
    wider = json.dumps(PRICE | META | {"venue": "x", "fee": "1"}).encode()
    assert msgspec.to_builtins(decoder.decode(wider)) == OURS
    assert decoder.unknown_fields(wider) == {"venue", "fee"}
    enveloped = json.dumps({"before": None, "after": PRICE | {"fee": "1"}, "op": "c", "source": {}}).encode()
    assert decoder.unknown_fields(enveloped) == {"fee"}
    assert decoder.unknown_fields(json.dumps(PRICE | META).encode()) == frozenset()
    assert decoder.unknown_fields(b"junk") == decoder.unknown_fields(None) == frozenset()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "tombstone"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"symbol":"\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"x":' + b"[" * 100_000, "not JSON"),
        (b"null", "NoneType"),
        (b'{"symbol":"BTCUSDT"}', "missing required field"),
        (b'{"op":"t","before":null,"after":null,"source":{}}', "without the row's image"),
        (b'{"op":"c","before":null,"after":null}', "without the row's image"),
        (json.dumps(PRICE | META | {"price": 0.5}).encode(), "float"),
        (json.dumps(PRICE | META | {"event_time": "2026-11-21T00:00:00Z"}).encode(), "event_time"),
        (json.dumps(PRICE | META | {"__op": "m"}).encode(), "op 'm'"),
        (json.dumps(PRICE | META | {"symbol": None}).encode(), "symbol"),
        (json.dumps({"schema": {}, "payload": None}).encode(), "NoneType"),
        (json.dumps({"op": "c", "after": PRICE, "source": "x"}).encode(), "source"),
        (json.dumps({"op": "c", "after": PRICE, "source": {"ts_ms": "x"}}).encode(), "int"),
        (json.dumps({"schema": {"fields": 3}, "payload": PRICE}).encode(), "neither"),
        (json.dumps(PRICE | META | {"price": {"scale": [], "value": "AA=="}}).encode(), "neither"),
        (json.dumps(PRICE | META | {"price": {"scale": "x", "value": "AA=="}}).encode(), "neither"),
        (json.dumps(PRICE | META | {"price": {"scale": 10**30, "value": "AA=="}}).encode(), "scale"),
    ],
)
def test_an_undecodable_record_is_refused_with_the_reason(raw, said):
    with pytest.raises(Undecodable, match=said):
        Decoder(LATEST_PRICES).decode(raw)
    Decoder(LATEST_PRICES).unknown_fields(raw)  # raises nothing


@given(st.binary(max_size=200))
def test_random_bytes_are_always_undecodable(raw):
    with pytest.raises(Undecodable):
        Decoder(RECENT_TRADES).decode(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["op", "before", "after", "source", "schema", "payload", "fields", "scale", "value", "price"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_random_json_is_always_undecodable(document):
    with pytest.raises(Undecodable):
        Decoder(LATEST_PRICES).decode(json.dumps(document).encode())
