"""examples/transform.py does what docs/guides/write-a-transform.md says."""

import typing
from pathlib import Path

import pytest

from cryptocdc_consumer import transform
from cryptocdc_core.catalogue.streams import KLINES, RECENT_TRADES
from cryptocdc_core.feed.model import parse
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import ConsumerSettings

from .records import NOW_MS, Record, change, intake

ROOT = Path(__file__).parents[3]


def feed(reference):
    spec = {"symbols": {"names": ["BTCUSDT"]}, "streams": {"recentTrades": {}}, "transform": reference}
    head = {"apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "f"}}
    return parse({**head, "spec": spec})


def load(reference, **environment):
    return transform.load(feed(reference), ConsumerSettings.from_env(environment))


@pytest.fixture
def step(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return load("transform:without_dust")


def test_the_program_s_setting_overrides_the_feed_s():
    assert load("typing:cast") is typing.cast
    assert load("operator:truediv", CRYPTOCDC_TRANSFORM="typing:cast") is typing.cast
    assert load(None) is None


def test_a_transform_class_is_instantiated_once_and_called(monkeypatch, tmp_path):
    (tmp_path / "counting.py").write_text(
        "class Counting:\n    seen = 0\n    def __call__(self, stream, change):\n        self.seen += 1\n"
        "        return change\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    counting = load("counting:Counting")
    assert [counting(None, change) for change in "ab"] == ["a", "b"]
    assert counting.seen == 2


@pytest.mark.parametrize(
    ("reference", "environment", "named"),
    [
        ("nowhere:f", {}, "spec.transform: 'nowhere:f': ModuleNotFoundError"),
        ("typing:nothing", {}, "spec.transform: 'typing:nothing': AttributeError"),
        ("functools:partial", {}, "spec.transform: 'functools:partial': TypeError"),
        ("math:pi", {}, "spec.transform: 'math:pi' can't be called"),
        (None, {"CRYPTOCDC_TRANSFORM": "typing"}, "CRYPTOCDC_TRANSFORM: 'typing': AttributeError"),
    ],
)
def test_an_unloadable_transform_is_refused_by_the_name_of_its_field(reference, environment, named):
    with pytest.raises(BadInput) as refused:
        load(reference, **environment)
    assert str(refused.value).startswith(named)
    assert str(refused.value).endswith("accepted: module:function of a module that the consumer can import")


def test_the_example_drops_only_trades_below_its_threshold(step):
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
    assert taken.dead_letters == []
    assert metrics.left_out.labels("recent_trades")._value.get() == 1


def test_the_example_lets_a_delete_through(step):
    deleted = change(RECENT_TRADES, op="d")
    it, _, metrics = intake(transform=step)
    taken = it.take([Record(RECENT_TRADES, deleted, 0)], NOW_MS)
    assert sum(len(batch.entries) for batch in taken.batches) == 1
    assert taken.dead_letters == []
    assert metrics.left_out.labels("recent_trades")._value.get() == 0


def test_the_guide_contains_the_source_of_the_example():
    guide = (ROOT / "docs" / "guides" / "write-a-transform.md").read_text(encoding="utf-8")
    source = (ROOT / "examples" / "transform.py").read_text(encoding="utf-8")
    function = source[source.index("def without_dust") :].strip()
    assert "\n".join(f"    {line}".rstrip() for line in function.splitlines()) in guide
