"""A row has the same line from either database."""

from decimal import Decimal

import pytest
from cassandra.cqltypes import BooleanType, DateType, DecimalType, ListType, LongType, UTF8Type
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.verifier.pages import lines_of

from cryptocdc_core.catalogue import STREAMS, Type, by_table
from cryptocdc_verifier.comparing.canonical import (
    Tally,
    key_of,
    ordered,
    postgres_columns,
    shown,
    time_of,
    version_of,
)

TRADES, BOOKS, KLINES = by_table("recent_trades"), by_table("order_book"), by_table("klines")
STATS = by_table("crypto_24h_stats")
PROTOCOL = 5
DECIMALS = ListType.apply_parameters([DecimalType])
CQL = {
    Type.TEXT: UTF8Type, Type.BIGINT: LongType, Type.TIMESTAMP: DateType, Type.BOOLEAN: BooleanType,
    Type.DECIMAL: DecimalType, Type.DECIMALS: DECIMALS,
}  # fmt: skip
decimals = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale), st.integers(-(10**30), 10**30), st.integers(0, 20)
)


def copied(kind, value):
    """A value as PostgreSQL's COPY writes it."""
    if value is None:
        return "\\N"
    if kind is Type.BOOLEAN:
        return "t" if value else "f"
    if kind is Type.DECIMALS:
        return "{" + ",".join(format(part, "f") for part in value) + "}"
    if kind is Type.TEXT:
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def values_of(stream):
    kinds = {
        Type.TEXT: st.sampled_from(["BTCUSDT", "A-B_C.D", "a\tb\\c\n"]),
        Type.BIGINT: st.integers(-(2**63), 2**63 - 1),
        Type.TIMESTAMP: st.integers(0, 2**42),
        Type.BOOLEAN: st.booleans(),
        Type.DECIMAL: decimals,
        Type.DECIMALS: st.lists(decimals, max_size=5),
    }
    return st.tuples(
        *(st.none() | kinds[column.type] if column.nullable else kinds[column.type] for column in ordered(stream))
    )


def from_cassandra(stream, values):
    raw = [
        None if value is None else CQL[c.type].to_binary(value, PROTOCOL)
        for c, value in zip(ordered(stream), values, strict=True)
    ]
    (line,) = lines_of(stream, raw)
    return line


def from_postgres(stream, values):
    return "\t".join(copied(c.type, value) for c, value in zip(ordered(stream), values, strict=True)).encode()


@given(values_of(TRADES))
def test_a_trade_has_the_same_line_from_both_databases(values):
    assert from_cassandra(TRADES, values) == from_postgres(TRADES, values)


@given(values_of(BOOKS))
def test_arrays_of_decimals_have_the_same_line_from_both_databases(values):
    assert from_cassandra(BOOKS, values) == from_postgres(BOOKS, values)


def test_decimals_with_different_trailing_zeros_differ():
    row = ["BTCUSDT", 1, 2, 3, Decimal("1.50"), Decimal(1), 1, 1, True, 1]
    other = [Decimal("1.5") if value == Decimal("1.50") else value for value in row]

    assert from_cassandra(TRADES, row) != from_cassandra(TRADES, other)


@given(values_of(STATS))
def test_statistics_with_nulls_have_the_same_line_from_both_databases(values):
    assert from_cassandra(STATS, values) == from_postgres(STATS, values)


def test_null_differs_from_0_from_empty_text_and_from_copy_s_null_marker():
    row = ["BTCUSDT", 1, 2, 3, Decimal(1), Decimal(1), None, 1, True, 1]
    zero = [0 if value is None else value for value in row]
    assert len({from_cassandra(TRADES, row), from_cassandra(TRADES, zero), from_postgres(TRADES, row)}) == 2

    rest = [None] * (len(ordered(TRADES)) - 1)
    assert len(set(lines_of(TRADES, *([raw, *rest] for raw in (None, b"", b"\\N", b"None"))))) == 4


def test_a_value_that_a_hand_written_row_lacks_is_null():
    raw = [UTF8Type.to_binary("GHOST", PROTOCOL), *(LongType.to_binary(at, PROTOCOL) for at in (5, 6)), *[None] * 7]
    whole = [UTF8Type.to_binary("X", PROTOCOL), *[LongType.to_binary(7, PROTOCOL)] * 3]
    whole += [DecimalType.to_binary(Decimal("1.50"), PROTOCOL)] * 2
    whole += [*[LongType.to_binary(8, PROTOCOL)] * 2, b"\1", LongType.to_binary(9, PROTOCOL)]
    first, line, last = lines_of(TRADES, whole, raw, whole)

    assert first == last == b"X\t7\t7\t7\t1.50\t1.50\t8\t8\tt\t9"
    assert line.count(rb"\N") == 7
    assert version_of(TRADES, line) == -1
    assert shown(TRADES, line)["price"] is None


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_an_empty_value_of_any_column_but_text_is_one_that_postgresql_never_has(stream):
    zero = {
        Type.TEXT: b"X", Type.BIGINT: bytes(8), Type.TIMESTAMP: bytes(8), Type.INTEGER: bytes(4), Type.BOOLEAN: b"\0",
        Type.DECIMAL: bytes(5), Type.DECIMALS: DECIMALS.to_binary([Decimal(0)], PROTOCOL),
    }  # fmt: skip
    no_number = DECIMALS.to_binary([Decimal(0)], PROTOCOL)[:4] + bytes(4)
    columns = ordered(stream)
    whole = [zero[column.type] for column in columns]

    for at, column in enumerate(columns):
        if column.type is Type.TEXT:
            continue
        empty = no_number if column.type is Type.DECIMALS else b""
        first, line, last = lines_of(stream, whole, [*whole[:at], empty, *whole[at + 1 :]], whole)

        texts = line.decode().split("\t")
        assert first == last
        assert texts.pop(at) in ("-0", "{-0}", "")
        assert texts == [text for other, text in enumerate(first.decode().split("\t")) if other != at]
        assert version_of(stream, line) == 0, "it can be described"
        assert shown(stream, line)


def test_key_time_and_version_are_read_from_a_line():
    line = from_postgres(KLINES, [("1m" if c.name == "interval" else 9 if c.name == "version" else
                                   5 if c.type in (Type.TIMESTAMP, Type.BIGINT) else
                                   "X" if c.type is Type.TEXT else True if c.type is Type.BOOLEAN else Decimal(1))
                                  for c in ordered(KLINES)])  # fmt: skip

    assert key_of(KLINES, line) == (b"X", b"1m", b"5")
    assert time_of(KLINES, key_of(KLINES, line)) == 5
    assert version_of(KLINES, line) == 9


def test_postgres_columns_are_selected_in_the_order_of_a_line():
    assert postgres_columns(by_table("latest_prices")) == (
        '"symbol", (extract(epoch from "event_time") * 1000)::bigint, "version", "price",'
        ' (extract(epoch from "received_at") * 1000)::bigint'
    )


@given(st.lists(st.binary(max_size=40)), st.randoms())
def test_the_digest_does_not_depend_on_the_order(lines, random):
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert tally(lines) == tally(shuffled)


@given(st.lists(st.binary(max_size=40), min_size=1))
def test_a_repeated_or_missing_line_changes_the_digest(lines):
    assert tally(lines).digest != tally([*lines, lines[0]]).digest
    assert tally(lines).digest != tally([*lines, lines[0], lines[0]]).digest
    assert tally(lines).digest != tally(lines[1:]).digest


def tally(lines):
    found = Tally()
    for line in lines:
        found.add(line)
    return found
