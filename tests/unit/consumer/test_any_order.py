"""Any prefix, any order, any duplication of a stream of changes gives the same rows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocdc_core.catalogue.streams import KLINES, LATEST_PRICES
from cryptocdc_core.versions import version

from .records import NOW_MS, Record, change, intake
from .statements import Table

TABLES = ("klines", "latest_prices", "newest_prices")


@st.composite
def histories(draw):
    """What PostgreSQL would send: rows of a few keys, the versions of each growing, perhaps its delete at the end."""
    changes = []
    for number in range(draw(st.integers(1, 4))):
        at = NOW_MS + number * 60_000
        for step in range(draw(st.integers(1, 3))):
            price = draw(st.sampled_from(["1.50", "2.00", "0.00000001"]))
            changes.append((KLINES, change(KLINES, open_time=at, close=price, version=version(at + step * 1000))))
        changes.append((LATEST_PRICES, change(LATEST_PRICES, event_time=at, price=price, version=version(at))))
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
    # A consumer that died after any prefix begins again before it.
    cut = data.draw(st.integers(0, len(history)))
    assert rows(history[:cut] + history, sizes) == once
