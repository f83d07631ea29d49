"""examples/transform.py does what docs/guides/write-a-transform.md says."""

from pathlib import Path

import pytest

from cryptocdc_consumer import transform
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES

from .records import NOW_MS, Record, change, intake

ROOT = Path(__file__).parents[3]


@pytest.fixture
def step(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return transform.load("transform:without_dust")


def test_the_example_leaves_out_trades_below_its_threshold_and_nothing_else(step):
    it, prepared, metrics = intake(transform=step)
    prices = ["9.99", "10", "250.5"]
    records = [
        *(Record(RECENT_TRADES, change(RECENT_TRADES, trade_id=at, price=p, quantity="1"), at)
          for at, p in enumerate(prices)),
        Record(KLINES, change(KLINES), 0),
    ]  # fmt: skip
    taken = it.take(records, NOW_MS)
    written = [prepared.read(entry[0]).values for batch in taken.batches for entry in batch.entries]
    assert sorted(str(row["price"]) for row in written if "price" in row) == ["10", "250.5"]
    assert len(written) == 3
    assert taken.letters == []
    assert metrics.left_out.labels("recent_trades")._value.get() == 1


def test_the_example_lets_a_delete_through(step):
    deleted = change(RECENT_TRADES, op="d")
    it, _, metrics = intake(transform=step)
    taken = it.take([Record(RECENT_TRADES, deleted, 0)], NOW_MS)
    assert sum(len(batch.entries) for batch in taken.batches) == 1
    assert taken.letters == []
    assert metrics.left_out.labels("recent_trades")._value.get() == 0


def test_the_guide_shows_the_example_as_it_is():
    guide = (ROOT / "docs" / "guides" / "write-a-transform.md").read_text(encoding="utf-8")
    source = (ROOT / "examples" / "transform.py").read_text(encoding="utf-8")
    function = source[source.index("def without_dust") :].strip()
    assert "\n".join(f"    {line}".rstrip() for line in function.splitlines()) in guide
