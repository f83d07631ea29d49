"""The CustomResourceDefinition expresses the feed's model: both accept and refuse the same documents."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.feed.test_feed import BAD
from tests.unit.core.feeds import MINIMAL, document
from tests.unit.custom_resources import CustomResource

from cryptocdc_core.feed import model as feed
from cryptocdc_core.feed.model import FeedError, parse
from cryptocdc_operator.crd import VERSION
from cryptocdc_operator.crd.definition import definition, text
from cryptocdc_operator.crd.structural import field_descriptions

ROOT = Path(__file__).parents[3]
FEEDS = CustomResource(definition(), VERSION)

FULL = document(
    exchange="binance-us",
    endpoints={"rest": "https://localhost:1/x", "websocket": "ws://localhost"},
    credentialsSecretRef="key",
    symbols={"top": {"count": 500, "quote": "USDC"}},
    streams={
        "recentTrades": {"source": "rest", "kind": "trade", "period": "1s"},
        "klines": {"source": "rest", "intervals": ["1s", "1M"], "period": "1w"},
        "crypto24hStats": {"source": "websocket", "period": "999999d"},
        "latestPrices": {"source": "rest", "period": "2h"},
        "orderBook": {"source": "rest", "depth": 100, "interval": "5m"},
    },
    retention={"postgres": "keep", "kafka": "1h", "cassandra": "3650d"},
    scaling={"partitions": 96, "producers": 0, "consumers": 96},
    sink={"type": "cassandra"},
    alerts=[{"symbol": "BTCUSDT", "window": "1h", "dropPercent": 2.5}, {"symbol": "BTCUSDT", "above": 0.00001}],
    alertWebhook={"secretRef": "pager"},
    suspend=True,
    deletionPolicy="Delete",
)
GOOD = {
    "full": FULL,
    "minimal": MINIMAL,
    "nulls stand for defaults": document(suspend=None, endpoints=None, credentialsSecretRef=None),
    "a stream of null is none": document(streams={"klines": {}, "orderBook": None}),
    "less is kept than the default past": document(retention={"postgres": "6h"}),
    "a past that is kept": document(retention={"postgres": "keep"}, history={"klines": "30d", "recentTrades": "1h"}),
    "a past for the archive": document(history={"klines": "90d", "recentTrades": "3d"}),
    "no webhook but a URL": document(alertWebhook={"url": "https://hooks.example/a?b=c"}),
    "every kind of alert": document(
        symbols={"names": ["BTCUSDT"]},
        alerts=[
            {"symbol": "BTCUSDT", "window": "10s", "dropPercent": 0.01},
            {"symbol": "BTCUSDT", "window": "1d", "risePercent": 10000},
            {"symbol": "BTCUSDT", "window": "24h", "volatilityPercent": 3, "above": None},
            {"symbol": "BTCUSDT", "above": 1000000000000},
            {"symbol": "BTCUSDT", "below": 0.000000000001},
        ],
    ),
    "bars of any length": document(
        streams={"recentTrades": {}}, analytics={"bars": ["1s", "54s", "15s", "9m", "6h", "1d"]}
    ),
    "volatility": document(streams={"recentTrades": {}}, analytics={"volatility": ["3s", "15s", "54s", "1d"]}),
    "figures of order books": document(streams={"orderBook": {}}, analytics={"bookMetrics": True}),
    "a retention in other units": document(retention={"postgres": "1w", "cassandra": "87600h"}),
    **{path.name: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "examples").glob("*.yaml"))},
}
GOOD = {name: doc for name, doc in GOOD.items() if doc.get("kind") == "CryptoFeed"}

# A wrong apiVersion or kind matches no resource, and a name is required, before any schema is applied.
REFUSED_ELSEWHERE = ("apiVersion", "kind", "metadata.name-missing", "feed")
BAD_HERE = {
    f"{at}-{field}": doc
    for at, (doc, field, value, _) in enumerate(BAD)
    if field not in REFUSED_ELSEWHERE and f"{field}-{value}" not in REFUSED_ELSEWHERE
}


def model_takes(doc):
    try:
        parse(doc)
    except FeedError:
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_a_valid_feed_is_accepted_by_model_and_crd(name):
    assert model_takes(GOOD[name])
    assert FEEDS.problems(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD_HERE)
def test_an_invalid_feed_is_refused_by_model_and_crd(name):
    assert not model_takes(BAD_HERE[name])
    assert FEEDS.problems(BAD_HERE[name])


def leaves(value, path=()):
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))


VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 3, 5, 96, 97, 500, 501, "", "keep", "0s", "1s", "5m", "60s", "1M", "999999w", "3651d",
    "521w", "522w", "87601h", "1000000s", "BTCUSDT", "btc", "USDT", "x" * 201, "A" * 21, "http://x", "http://x y", "ws://x",
    "majors", "majors-sim", "pg-x", "a\n", "aggregate", "trade", "raw", "rest", "Retain", "cassandra", "simulated",
    [{"symbol": "BTCUSDT", "window": "2h", "risePercent": 1}], [{"symbol": "BTCUSDT", "above": 1.5}], {"url": "http://x"},
    [{"symbol": "BTCUSDT", "window": "1h", "dropPercent": 1}], 0.5, 2.5, 100, "http://",
    [], ["A"], ["A", "A"], ["1m"], ["1m", "1m"], ["A"] * 1001, [None], {}, {"count": 3}, {"x": 1}, {"names": ["A"]},
    {"klines": {}}, {"names": ["A"], "top": {"count": 1}}, ["币安人生USDT", "这是测试币456"], ["币" * 51],
    ["<B>"], ["-A"], "币安人生USDT", "币" * 51,
]  # fmt: skip
PATHS = [path for path in leaves(FULL["spec"]) if path] + [("symbols", "names"), ("unknown",), ("retention", "unknown")]


@given(path=st.sampled_from(PATHS), value=st.sampled_from(VALUES))
def test_model_and_crd_agree_on_any_value_of_a_field(path, value):
    doc = copy.deepcopy(FULL)
    *parents, last = path
    at = doc["spec"]
    for parent in parents:
        at = at[parent]
    at[last] = value
    assert model_takes(doc) == (FEEDS.problems(doc) == []), FEEDS.problems(doc)


@given(name=st.one_of(st.sampled_from([v for v in VALUES if isinstance(v, str)]), st.from_regex(r"[a-z-]{0,31}")))
def test_model_and_crd_agree_on_any_name(name):
    doc = MINIMAL | {"metadata": {"name": name}}
    assert model_takes(doc) == (FEEDS.problems(doc) == []), FEEDS.problems(doc)


def test_a_market_in_any_script_is_accepted_in_spec_alerts_and_status() -> None:
    names = ["币安人生USDT", "这是测试币456"]
    doc = document(
        symbols={"names": names}, alerts=[{"symbol": names[0], "above": 0.00001}], streams={"latestPrices": {}}
    )
    status = {"status": {"symbols": 2, "symbolNames": names, "haltedNames": names[1:]}}
    assert model_takes(doc)
    assert FEEDS.problems(doc | status) == []
    assert FEEDS.problems(doc | {"status": {"symbolNames": ["A'; --"]}})


TRADES: dict[str, Any] = {"recentTrades": {}}
CHANGES = {
    "exchange": (document(), document(exchange="binance-us")),
    "partitions": (document(), document(scaling={"partitions": 6})),
    "partitions given up": (document(scaling={"partitions": 6}), document()),
    "kind of trades": (document(streams=TRADES), document(streams={"recentTrades": {"kind": "trade"}})),
}


@pytest.mark.parametrize("name", CHANGES)
def test_fields_that_define_stored_rows_are_immutable(name):
    before, after = CHANGES[name]
    with pytest.raises(FeedError):
        parse(after).refuse_changes(parse(before))
    (problem,) = FEEDS.problems(after, before)
    assert "use another feed" in problem


def test_all_other_fields_can_be_changed():
    before = document(exchange="binance-us", streams={"recentTrades": {"kind": "trade"}}, scaling={"partitions": 96})
    parse(FULL).refuse_changes(parse(before))
    assert FEEDS.problems(FULL, before) == []
    without_trades = document(exchange="binance-us", scaling={"partitions": 96})
    assert FEEDS.problems(without_trades, before) == []


def test_trades_can_be_removed_and_added_again_but_not_as_another_kind():
    status = {"status": {"tradesKind": "aggregate"}}
    without = document() | status
    assert FEEDS.problems(document(streams=TRADES) | status, without) == []
    (problem,) = FEEDS.problems(document(streams={"recentTrades": {"kind": "trade"}}) | status, without)
    assert "ids must not mix" in problem


def nodes(schema, path=""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


STANDARD = (".apiVersion", ".kind", ".metadata")


def test_every_list_and_string_is_bounded():
    for path, node in nodes(FEEDS.schema):
        if node["type"] == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node, path
        if node["type"] == "string" and path not in STANDARD:
            assert "enum" in node or "maxLength" in node or node.get("format") == "date-time", path
        if node["type"] == "integer":
            assert "enum" in node or "minimum" in node, path


def test_every_field_has_a_description():
    for path, node in nodes(FEEDS.schema):
        if not path.startswith(".metadata") and not path.endswith("[]"):
            assert node.get("description", "").endswith("."), path


def test_the_documented_meanings_equal_the_descriptions():
    described = {path.removeprefix("."): node.get("description") for path, node in nodes(FEEDS.schema)}
    rows = re.findall(
        r"^\| `(spec\.[A-Za-z0-9.\[\]]+)` \|.*\| (.+) \|$", (ROOT / "docs" / "feed.md").read_text(), re.MULTILINE
    )
    assert rows
    for path, meaning in rows:
        assert meaning == described[path], path


def test_the_defaults_equal_the_models():
    made = copy.deepcopy(MINIMAL)
    FEEDS.fill(made)
    assert made["spec"] == parse(MINIMAL).spec.model_dump(by_alias=True, exclude_none=True)


def test_a_field_without_a_docstring_is_described_by_its_model():
    described = field_descriptions(feed)
    assert "symbols" not in described["Spec"]
    assert FEEDS.schema["properties"]["spec"]["properties"]["symbols"]["description"].startswith("What to capture")


def test_kubectl_shows_the_documented_columns():
    (version,) = definition()["spec"]["versions"]
    shown = [column["name"].upper() for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["SYMBOLS", "READY", "REASON", "LAG", "PROVEN", "AGE"]


def test_the_crd_in_the_chart_is_up_to_date():
    assert (ROOT / "charts" / "files" / "crd.yaml").read_text() == text(), "run `make crd`"
