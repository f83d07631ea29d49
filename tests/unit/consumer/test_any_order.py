"""Any prefix, any order, any duplication of a stream of changes gives the same rows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES, LATEST_PRICES
from cryptocdc_core.rows.versions import version

from .records import NOW_MS, Record, change, intake
from .statements import Table

TABLES = ("klines", "latest_prices", "newest_prices", "crypto_24h_stats", "newest_24h_stats")


NULL_OR_TEXT = st.sampled_from([None, "0", "7.50"])
NULL_OR_NUMBER = st.sampled_from([None, 0, 7])


@st.composite
def histories(draw):
    """Changes as PostgreSQL would send them: rows of a few keys with growing versions, perhaps a delete at the end."""
    changes = []
    for number in range(draw(st.integers(1, 4))):
        at = NOW_MS + number * 60_000
        for step in range(draw(st.integers(1, 3))):
            price = draw(st.sampled_from(["1.50", "2.00", "0.00000001"]))
            values = {"close": price, "quote_volume": draw(NULL_OR_TEXT), "trade_count": draw(NULL_OR_NUMBER)}
            op = "u" if step else "c"
            changes.append((KLINES, change(KLINES, op, open_time=at, version=version(at + step * 1000), **values)))
        changes.append((LATEST_PRICES, change(LATEST_PRICES, event_time=at, price=price, version=version(at))))
        values = {"quote_volume": draw(NULL_OR_TEXT), "trade_count": draw(NULL_OR_NUMBER)}
        changes.append((CRYPTO_24H_STATS, change(CRYPTO_24H_STATS, event_time=at, version=version(at), **values)))
        if draw(st.booleans()):
            late = {"committed_us": (at + 10_000) * 1000}
            changes.append((KLINES, change(KLINES, "d", open_time=at, **late)))
            changes.append((LATEST_PRICES, change(LATEST_PRICES, "d", event_time=at, **late)))
    return changes


def rows(changes, chunks):
    """The tables after `changes`, read in chunks of the given sizes."""
    it, prepared, _ = intake()
    table = Table()
    at = 0
    while at < len(changes):
        size = chunks[at % len(chunks)]
        records = [Record(stream, raw, at) for stream, raw in changes[at : at + size]]
        for batch in it.take(records, NOW_MS).batches:
            for statement, _, _ in batch.entries:
                table.apply(prepared.read(statement))
        at += size
    return {name: table.rows(name) for name in TABLES}


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_rows_do_not_depend_on_order_repetition_or_chunks(history, data):
    once = rows(history, [len(history)])
    again = data.draw(st.lists(st.sampled_from(history), max_size=2 * len(history)))
    shuffled = data.draw(st.permutations(history + again))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    assert rows(shuffled, sizes) == once
    # A consumer killed after any prefix starts again before its end.
    cut = data.draw(st.integers(0, len(history)))
    assert rows(history[:cut] + history, sizes) == once


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(NULL_OR_TEXT, NULL_OR_NUMBER), min_size=2, max_size=5), st.data())
def test_a_null_replaces_a_value_and_a_value_a_null_in_any_order(versions, data):
    history = [
        (KLINES, change(KLINES, "u" if step else "c", version=version(NOW_MS + step), quote_volume=text, trade_count=n))
        for step, (text, n) in enumerate(versions)
    ]
    found = rows(data.draw(st.permutations(history + history[:2])), [1])["klines"]
    (row,) = found.values()
    text, number = versions[-1]
    quote_volume = row.get("quote_volume")
    assert (None if quote_volume is None else format(quote_volume, "f"), row.get("trade_count")) == (text, number)
