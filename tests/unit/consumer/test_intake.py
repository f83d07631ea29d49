"""How records are grouped into batches, and what happens to those that can't be."""

from decimal import Decimal

import pytest

from cryptocdc_consumer.intake import BATCH_BYTES, BATCH_ROWS, JOINED_BYTES, MOST_PARTITIONS
from cryptocdc_core.catalogue.streams import KLINES, LATEST_PRICES, ORDER_BOOK, RECENT_TRADES

from .records import NOW_MS, Record, change, intake


def trades(count, **values):
    return [Record(RECENT_TRADES, change(RECENT_TRADES, trade_id=at, **values), at) for at in range(count)]


def test_rows_of_one_partition_make_batches_of_a_bounded_size():
    it, _, _ = intake()
    taken = it.take(trades(BATCH_ROWS * 2 + 1), NOW_MS)
    assert [len(batch.entries) for batch in taken.batches] == [BATCH_ROWS, BATCH_ROWS, 1]
    assert taken.chunk.pending == 3


def test_large_rows_make_smaller_batches():
    it, _, _ = intake()
    symbol = "S" * (BATCH_BYTES // 3)
    taken = it.take(trades(10, price="1." + "9" * 190, symbol=symbol), NOW_MS)
    assert all(len(batch.entries) <= 3 for batch in taken.batches)
    assert sum(len(batch.entries) for batch in taken.batches) == 10


def partitions(prepared, batch):
    return {(s.values["symbol"], s.values["hour"]) for s in map(prepared.read, (e[0] for e in batch.entries))}


def mixed(rows, symbols, hours):
    keys = [(f"S{s}", NOW_MS + h * 3_600_000) for s in range(symbols) for h in range(hours)]
    parts = [trades(rows, symbol=symbol, trade_time=at) for symbol, at in keys]
    return [record for together in zip(*parts, strict=True) for record in together]


def test_many_rows_of_a_partition_are_batched_by_partition():
    it, prepared, _ = intake()
    taken = it.take(mixed(30, symbols=2, hours=3), NOW_MS)
    assert [len(batch.entries) for batch in taken.batches] == [30] * 6
    assert all(len(partitions(prepared, batch)) == 1 for batch in taken.batches)


def test_small_batches_of_several_partitions_are_combined_below_cassandras_warning_size():
    it, prepared, _ = intake()
    taken = it.take(mixed(1, symbols=25, hours=1), NOW_MS)
    assert [len(partitions(prepared, batch)) for batch in taken.batches] == [MOST_PARTITIONS, MOST_PARTITIONS, 5]
    assert sum(len(batch.entries) for batch in taken.batches) == 25
    assert all(batch.bytes == sum(len(e[0]) for e in batch.entries) <= JOINED_BYTES for batch in taken.batches)
    assert taken.chunk.pending == 3


def test_a_batch_of_several_partitions_stays_small():
    it, prepared, _ = intake()
    taken = it.take(mixed(6, symbols=10, hours=1), NOW_MS)
    crossing = [batch for batch in taken.batches if len(partitions(prepared, batch)) > 1]
    assert crossing
    assert all(batch.bytes <= JOINED_BYTES for batch in crossing)
    assert sum(len(batch.entries) for batch in taken.batches) == 60


def test_a_chunk_remembers_the_offset_after_the_last_record_of_each_partition():
    it, _, _ = intake()
    raw = change(RECENT_TRADES)
    records = [Record(RECENT_TRADES, raw, at, lane) for at, lane in ((4, 0), (9, 1), (5, 0))]
    chunk = it.take([*records, Record(KLINES, b"junk", 3, 0)], NOW_MS).chunk
    assert chunk.offsets == {("f.f.recent_trades", 0): 6, ("f.f.recent_trades", 1): 10, ("f.f.klines", 0): 4}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"garbage", "undecodable: not JSON"),
        (None, "undecodable: a tombstone"),
        (b"[1]", "undecodable: a list"),
        (b'{"op":"t","before":null,"after":null,"source":{}}', "undecodable: op 't'"),
        (change(RECENT_TRADES, "x"), "undecodable: op 'x'"),
        (change(RECENT_TRADES, price="NaN"), "unencodable: decimal 'NaN'"),
        (change(RECENT_TRADES, price=1.5), "undecodable: decimal 1.5"),
        (change(RECENT_TRADES, trade_id=2**63), "unencodable"),
        (change(RECENT_TRADES, trade_id=None), "undecodable"),
    ],
)
def test_a_bad_record_is_a_dead_letter_and_its_neighbours_are_written(raw, reason):
    it, _, _ = intake()
    before, after = trades(2)
    bad = Record(RECENT_TRADES, raw, 1)
    taken = it.take([before, bad, after], NOW_MS)
    assert [letter.record for letter in taken.dead_letters] == [bad]
    assert taken.dead_letters[0].reason.startswith(reason)
    assert sum(len(batch.entries) for batch in taken.batches) == 2
    assert taken.chunk.pending == 2


def test_a_book_whose_sides_differ_in_length_is_a_dead_letter():
    it, _, _ = intake()

    at = NOW_MS - NOW_MS % 10_000
    raw = change(ORDER_BOOK, bucket_time=at, bid_prices=["1"], bid_quantities=[])
    taken = it.take([Record(ORDER_BOOK, raw)], NOW_MS)
    assert [letter.kind for letter in taken.dead_letters] == ["unencodable"]
    assert not taken.batches


def test_unknown_columns_are_ignored_and_counted():
    it, _, metrics = intake()
    plain = change(RECENT_TRADES)
    wider = plain[:-1] + b',"fee":"0.1","venue":"x"}'
    taken = it.take([Record(RECENT_TRADES, raw, at) for at, raw in enumerate((plain, wider, wider))], NOW_MS)
    assert sum(len(batch.entries) for batch in taken.batches) == 3
    assert metrics.unknown_fields.labels("recent_trades")._value.get() == 4


def test_a_transform_can_alter_drop_and_fail():
    def step(stream, change):
        assert stream is LATEST_PRICES
        if change.price == "1":
            return None
        if change.price == "2":
            raise RuntimeError("no")
        change.price = "9.90"
        return change

    it, prepared, metrics = intake(transform=step)
    records = [
        Record(LATEST_PRICES, change(LATEST_PRICES, price=p, event_time=NOW_MS + at), at)
        for at, p in enumerate("123")
    ]  # fmt: skip
    taken = it.take(records, NOW_MS)
    assert [letter.reason for letter in taken.dead_letters] == ["transform: RuntimeError('no')"]
    assert {str(prepared.read(e[0]).values["price"]) for b in taken.batches for e in b.entries} == {"9.90"}
    assert metrics.left_out.labels("latest_prices")._value.get() == 1


@pytest.mark.parametrize("value", [Decimal("9.9"), 9.9, None])
def test_what_a_transform_returns_with_another_type_is_a_dead_letter(value):
    def step(_, change):
        if change.price == "1":
            change.price = value
        return change

    it, _, _ = intake(transform=step)
    records = [
        Record(LATEST_PRICES, change(LATEST_PRICES, price=p, event_time=NOW_MS + at), at)
        for at, p in enumerate("012")
    ]  # fmt: skip
    taken = it.take(records, NOW_MS)
    (letter,) = taken.dead_letters
    assert (letter.kind, letter.record) == ("transform", records[1])
    assert letter.detail.startswith("what it returned can't be written: AttributeError")
    assert sum(len(batch.entries) for batch in taken.batches if batch.table == "latest_prices") == 2
