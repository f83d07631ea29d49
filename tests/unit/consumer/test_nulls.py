"""How nulls are written to Cassandra: unset where there can be no older value, and otherwise deleted."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.verifier.pages import lines_of

from cryptocdc_consumer.cql import NULL, UNSET
from cryptocdc_core.catalogue import STREAMS, Type
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES, ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.rows.changes import UNAVAILABLE
from cryptocdc_core.rows.versions import version
from cryptocdc_verifier.comparing.canonical import ordered

from .records import NOW_MS, Record, change, intake, row
from .statements import Table

DAY_MS = 86_400_000
NULLABLE = [stream for stream in STREAMS.values() if stream.nullable]
each_stream = pytest.mark.parametrize("stream", NULLABLE, ids=lambda s: s.table)


def taken(*records):
    """(entries as they go to Cassandra, statements read back, metrics)"""
    it, prepared, metrics = intake()
    found = it.take([Record(stream, raw, at) for at, (stream, raw) in enumerate(records)], NOW_MS)
    assert not found.dead_letters, [letter.reason for letter in found.dead_letters]
    return found.batches, [prepared.read(raw) for batch in found.batches for raw, _, _ in batch.entries], metrics


def statements(*records):
    return taken(*records)[1]


def nulls(stream, names=None):
    return dict.fromkeys([c.name for c in stream.nullable] if names is None else names)


def copied(kind, value):
    """A value of a change as PostgreSQL's COPY writes it."""
    if value is None:
        return "\\N"
    if kind is Type.BOOLEAN:
        return "t" if value else "f"
    return "{" + ",".join(value) + "}" if kind is Type.DECIMALS else str(value)


def raw_values(statement, names):
    """By column, the bytes that Cassandra would store, None where it stores none."""
    (count,) = struct.unpack_from(">H", statement, 19)
    at, found = 21, []
    for _ in range(count):
        size = statement[at : at + 4]
        length = 0 if size in (NULL, UNSET) else int.from_bytes(size, "big")
        found.append(None if size in (NULL, UNSET) else statement[at + 4 : at + 4 + length])
        at += 4 + length
    return dict(zip(names, found, strict=False))


@each_stream
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_row_with_nulls_is_stored_as_postgres_has_it(stream, data):
    names = data.draw(st.sets(st.sampled_from([c.name for c in stream.nullable])))
    op = data.draw(st.sampled_from("cur"))
    values = row(stream, **nulls(stream, names))
    it, prepared, _ = intake()
    entries = it.take([Record(stream, change(stream, op, **nulls(stream, names)))], NOW_MS).batches[0].entries
    statement = entries[0][0]
    text = prepared.statements[int.from_bytes(statement[3:19], "big") - 1]
    columns = [n.strip() for n in text[text.index("(") + 1 : text.index(")")].replace('"', "").split(",")]
    stored = raw_values(statement, columns)

    (line,) = lines_of(stream, [stored[c.name] for c in ordered(stream)])
    assert line == "\t".join(copied(c.type, values[c.name]) for c in ordered(stream)).encode()


@each_stream
def test_a_first_version_leaves_its_nulls_unset(stream):
    (written, *others) = statements((stream, change(stream, **nulls(stream))))
    assert {name for name, value in written.values.items() if value == UNSET} == {c.name for c in stream.nullable}
    assert not [s for s in others if s.table == stream.table]


@pytest.mark.parametrize("op", ["u", "r"])
@each_stream
def test_a_later_version_with_a_null_removes_what_older_ones_had(stream, op):
    written, removed = (s for s in statements((stream, change(stream, op, **nulls(stream)))) if s.table == stream.table)
    assert removed.delete
    assert (removed.timestamp, written.timestamp) == (version(NOW_MS) - 1, version(NOW_MS))
    assert removed.values == {name: written.values[name] for name in removed.values}
    assert len(removed.values) == len(stream.key) + 1, "the whole key and the bucket"
    assert NULL not in written.values.values()
    assert None not in written.values.values(), "no tombstone of a cell"


def test_a_row_inserted_after_its_day_first_deletes_an_older_one():
    """Backfill fills a day again that retention has dropped from PostgreSQL, and Cassandra still has."""
    at = NOW_MS - NOW_MS % DAY_MS
    same_day, next_day = (
        statements((KLINES, change(KLINES, committed_us=committed * 1000, open_time=at, **nulls(KLINES))))
        for committed in (at + DAY_MS - 1, at + DAY_MS)
    )
    assert [s.delete for s in same_day] == [False]
    assert [s.delete for s in next_day] == [False, True]


def test_a_later_version_without_a_null_is_one_statement():
    assert [s.delete for s in statements((KLINES, change(KLINES, "u")))] == [False]


def test_columns_that_an_update_did_not_touch_are_not_removed():
    book = change(ORDER_BOOK, "u", last_update_id=None, bid_prices=[UNAVAILABLE], bucket_time=NOW_MS + 1)
    (written,) = statements((ORDER_BOOK, book))
    assert not written.delete
    assert (written.values["bid_prices"], written.values["last_update_id"]) == (UNSET, None)


def test_the_newest_statistics_keep_no_values_of_earlier_ones():
    table = Table()
    first = change(CRYPTO_24H_STATS, event_time=NOW_MS, version=version(NOW_MS))
    second = change(
        CRYPTO_24H_STATS, event_time=NOW_MS + 1, version=version(NOW_MS + 1), trade_count=None, bid_price=None
    )
    for raw in (second, first, second):
        for statement in statements((CRYPTO_24H_STATS, raw)):
            table.apply(statement)
    (newest,) = table.rows("newest_24h_stats").values()
    assert newest["event_time"] == NOW_MS + 1
    assert "trade_count" not in newest
    assert "bid_price" not in newest
    assert newest["quote_volume"] is not None


def test_only_rows_are_counted_as_rows():
    records = [(RECENT_TRADES, change(RECENT_TRADES, "u", trade_id=n, first_trade_id=None)) for n in range(4)]
    batches, _, _ = taken(*records)
    (batch,) = batches
    assert (len(batch.entries), batch.removals, batch.deletes) == (8, 4, 0)
    assert batch.bytes == sum(len(statement) for statement, _, _ in batch.entries)
    halves = batch.halves()
    assert [half.removals for half in halves] == [2, 2]
    assert [half.deletes for half in halves] == [0, 0]


def test_a_null_in_a_non_nullable_column_is_a_dead_letter():
    it, _, _ = intake()
    found = it.take([Record(KLINES, change(KLINES, close=None))], NOW_MS)
    assert [letter.reason for letter in found.dead_letters] == [
        "undecodable: Expected `str`, got `null` - at `$.close`"
    ]
    assert not found.batches
