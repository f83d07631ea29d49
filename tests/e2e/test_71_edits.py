"""Every mutable field of the feed is edited: each edit has the effect in the table of docs/operator.md, and restarts
only what the table names. Immutable fields are in test_70_bad_feeds.py; that no field is left out is ensured by
tests/unit/operator/reconcile/test_edits.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster, Object, wait_for
from tests.e2e.environment import NAMESPACE
from tests.e2e.feeds import Feed, sql

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(900)]

SELDOM_S = 60
_SELDOM = {"source": "websocket", "period": f"{SELDOM_S}s"}
STREAMS: Object = {
    "recentTrades": {**_SELDOM, "kind": "aggregate"},
    "klines": {**_SELDOM, "intervals": ["1m"]},
    "crypto24hStats": _SELDOM,
    "latestPrices": _SELDOM,
    "orderBook": {"source": "websocket", "depth": 20, "interval": "1s"},
}
SIMULATOR = f"cryptocdc-simulator.{NAMESPACE}.svc:8090"
"""A different host name than the one that the operator gives producers by default."""
KEY = "exchange-key"
WEBHOOK = f"http://{SIMULATOR}/webhook"

NOT_HERE = {
    "exchange": "immutable",
    "scaling.partitions": "immutable",
    "streams.recentTrades.kind": "immutable",
    "sink.type": "one value is all there is",
    "sink.engine": "test_80_sink_engines.py",
    "scaling.connectors": "test_82_connectors.py",
    "streams.markPrices.interval": "of perpetual contracts, which the simulated exchange does not have",
    "endpoints.archive": "read by `cryptocdc history load`, and by producers of raw trades, which this feed has not",
    "history.klines": "of symbols that begin: tests/integration/test_feed_past.py",
    "history.recentTrades": "of symbols that begin: tests/integration/test_feed_past.py",
    "history.from": "test_85_past_days.py",
    "export.uri": "test_86_export.py",
    "export.endpoint": "test_86_export.py",
    "export.secretRef": "test_86_export.py",
    "export.streams": "test_86_export.py",
    "repair.enabled": "tests/integration/test_repair.py",
    "repair.maxRowsPerHour": "tests/integration/test_repair.py",
    "streams.openInterest.period": "of perpetual contracts, which the simulated exchange does not have",
}


@dataclass(frozen=True)
class Edit:
    spec: Object
    restarts: frozenset[str]
    """Those of producer, consumer, api, alerter, analyzer and connector that restart, or are removed."""
    seen: Callable[[Feed], object]
    """True once the edit has taken effect."""


def _frames(feed: Feed, table: str, via: str) -> float:
    return feed.metric("producer", "cryptocdc_producer_frames_total", f'table="{table}",via="{via}"')


def _requested(table: str) -> Callable[[Feed], bool]:
    """Requested over REST, and no longer received over WebSocket: a new producer counts from zero."""
    return lambda feed: _frames(feed, table, "rest") > 0 and _frames(feed, table, "websocket") == 0


def _no_longer_captured(table: str, other: str) -> Callable[[Feed], bool]:
    """Not captured while `other` is, so that a new producer is not mistaken for one that no longer captures a
    stream."""

    def frames(feed: Feed, of: str) -> float:
        return feed.metric("producer", "cryptocdc_producer_frames_total", f'table="{of}"')

    return lambda feed: frames(feed, table) == 0 and frames(feed, other) > 0


def _frequent(table: str) -> Callable[[Feed], bool]:
    """Ten responses within a time in which the previous period allows four."""

    def frequent(feed: Feed) -> bool:
        first, begun = _frames(feed, table, "rest"), time.monotonic()
        while time.monotonic() < begun + 1.5 * SELDOM_S:
            if _frames(feed, table, "rest") >= first + 10:
                return True
        return False

    return frequent


def _rows(query: str) -> Callable[[Feed], bool]:
    """A query that PostgreSQL must answer with true; `{fid}` is the schema."""
    return lambda feed: sql(feed.cluster, query.format(fid=feed.fid)) == "t"


def _captured(count: int, quote: str) -> Callable[[Feed], bool]:
    return lambda feed: (
        len(feed.status()["symbolNames"]) == count
        and all(symbol.endswith(quote) for symbol in feed.status()["symbolNames"])
        and feed.metric("producer", "cryptocdc_producer_symbols") == count
    )


def _environment(variable: str, value: str) -> Callable[[Feed], bool]:
    """The newest producer has the variable."""

    def given(feed: Feed) -> bool:
        pods = feed.cluster.pods(feed.selector("producer"))
        return len(pods) == 1 and {"name": variable, "value": value} in pods[0]["spec"]["containers"][0]["env"]

    return given


def _expires_within(days: int) -> Callable[[Feed], bool]:
    """The newest row in Cassandra expires within this time, and not much earlier."""

    def expires(feed: Feed) -> bool:
        ((left,),) = feed.cql("SELECT TTL(price) FROM newest_prices WHERE shard = 0 AND symbol = 'BTCUSDT'")
        return bool((days - 1) * 86_400 < left <= days * 86_400)

    return expires


def _topics_keep(ms: int) -> Callable[[Feed], bool]:
    def keep(feed: Feed) -> bool:
        topic = feed.cluster.get("kafkatopic", f"{feed.fid}.{feed.fid}.klines".replace("_", "-")) or {}
        observed = topic["status"]["observedGeneration"] == topic["metadata"]["generation"]
        return bool(observed and topic["spec"]["config"]["retention.ms"] == str(ms))

    return keep


def _topics_are_owned(owned: bool) -> Callable[[Feed], bool]:
    def hold(feed: Feed) -> bool:
        topics = feed.cluster.find("kafkatopics", f"cryptocdc.io/feed={feed.name}")
        return all(("ownerReferences" in topic["metadata"]) is owned for topic in topics)

    return hold


def _verifier_keeps(days: str) -> Callable[[Feed], bool]:
    """The ConfigMap from which the verifier reads feeds has the retention."""

    def keeps(feed: Feed) -> bool:
        shared = feed.cluster.get("configmap", "cryptocdc-feeds") or {}
        read = yaml.safe_load(shared["data"][f"{feed.name}.yaml"])
        return bool(read["spec"]["retention"]["postgres"] == days)

    return keeps


def _runs(component: str, count: int) -> Callable[[Feed], bool]:
    return lambda feed: len(feed.ready(component)) == len(feed.cluster.pods(feed.selector(component))) == count


def _bars(length: str) -> Callable[[Feed], bool]:
    return lambda feed: (
        length in {interval for _, interval, _ in feed.cql("SELECT DISTINCT symbol, interval, day FROM bars")}
    )


def _computes(table: str) -> Callable[[Feed], bool]:
    return lambda feed: bool(feed.cql(f"SELECT symbol FROM {table} LIMIT 1"))


def _fires(symbol: str) -> Callable[[Feed], bool]:
    """The symbol's price is watched, and the alert has received one."""
    return lambda feed: feed.metric("alerter", "cryptocdc_alerter_firing", f'symbol="{symbol}"') == 1


def _suspended(feed: Feed) -> bool:
    return feed.condition("Ready").get("reason") == "Suspended" and not feed.cluster.pods(feed.selector("producer"))


def _stream(name: str, **settings: Any) -> Object:
    return {"streams": {name: settings}}


NOBODY: frozenset[str] = frozenset()
PRODUCER, CONSUMER = frozenset({"producer"}), frozenset({"consumer"})
API, ALERTER, ANALYZER = frozenset({"api"}), frozenset({"alerter"}), frozenset({"analyzer"})

EDITS = {
    "streams.orderBook new": Edit(
        {"streams": {"orderBook": STREAMS["orderBook"]}},
        PRODUCER | CONSUMER | API | {"connector"},
        lambda feed: feed.metric("consumer", "cryptocdc_consumer_rows_total", 'table="order_book"') > 0,
    ),
    "streams.bestQuotes new": Edit(
        {"streams": {"bestQuotes": {"interval": "1s"}}},
        PRODUCER | CONSUMER | API | {"connector"},
        lambda feed: feed.metric("consumer", "cryptocdc_consumer_rows_total", 'table="best_quotes"') > 0,
    ),
    "symbols.names": Edit({"symbols": {"names": ["BTCUSDT", "SOLUSDT"]}}, NOBODY, _captured(2, "USDT")),
    "symbols.top.count": Edit({"symbols": {"names": None, "top": {"count": 3}}}, NOBODY, _captured(3, "USDT")),
    "symbols.top.quote": Edit({"symbols": {"top": {"quote": "EUR"}}}, NOBODY, _captured(3, "EUR")),
    "symbols.names again": Edit(
        {"symbols": {"names": ["BTCUSDT", "ETHUSDT"], "top": None}}, NOBODY, _captured(2, "USDT")
    ),
    "streams.klines.intervals": Edit(
        _stream("klines", intervals=["1m", "3m"]),
        PRODUCER | API,
        _rows("SELECT count(*) > 0 FROM {fid}.klines WHERE interval = '3m'"),
    ),
    "streams.orderBook.depth": Edit(
        _stream("orderBook", depth=5),
        PRODUCER,
        _rows("SELECT cardinality(bid_prices) = 5 FROM {fid}.order_book ORDER BY bucket_time DESC LIMIT 1"),
    ),
    "streams.orderBook.interval": Edit(
        _stream("orderBook", interval="5s"),
        PRODUCER,
        _rows(
            "SELECT bool_and(extract(epoch FROM bucket_time)::bigint % 5 = 0) FROM"
            " (SELECT DISTINCT bucket_time FROM {fid}.order_book ORDER BY bucket_time DESC LIMIT 3) newest"
        ),
    ),
    "streams.bestQuotes.interval": Edit(
        _stream("bestQuotes", interval="5s"),
        PRODUCER,
        _rows(
            "SELECT bool_and(apart >= interval '2 seconds') FROM (SELECT event_time - lag(event_time)"
            " OVER (PARTITION BY symbol ORDER BY event_time) AS apart FROM {fid}.best_quotes"
            " ORDER BY event_time DESC LIMIT 4) newest"
        ),
    ),
    "streams.recentTrades.source": Edit(_stream("recentTrades", source="rest"), PRODUCER, _requested("recent_trades")),
    "streams.klines.source": Edit(_stream("klines", source="rest"), PRODUCER, _requested("klines")),
    "streams.crypto24hStats.source": Edit(
        _stream("crypto24hStats", source="rest"), PRODUCER, _requested("crypto_24h_stats")
    ),
    "streams.latestPrices.source": Edit(_stream("latestPrices", source="rest"), PRODUCER, _requested("latest_prices")),
    "streams.orderBook.source": Edit(_stream("orderBook", source="rest"), PRODUCER, _requested("order_book")),
    "streams.recentTrades.period": Edit(_stream("recentTrades", period="1s"), PRODUCER, _frequent("recent_trades")),
    "streams.klines.period": Edit(_stream("klines", period="1s"), PRODUCER, _frequent("klines")),
    "streams.crypto24hStats.period": Edit(
        _stream("crypto24hStats", period="1s"), PRODUCER, _frequent("crypto_24h_stats")
    ),
    "streams.latestPrices.period": Edit(_stream("latestPrices", period="1s"), PRODUCER, _frequent("latest_prices")),
    "endpoints.rest": Edit(
        {"endpoints": {"rest": f"http://{SIMULATOR}"}},
        PRODUCER,
        _environment("CRYPTOCDC_REST_URL", f"http://{SIMULATOR}"),
    ),
    "endpoints.websocket": Edit(
        {"endpoints": {"websocket": f"ws://{SIMULATOR}"}},
        PRODUCER,
        _environment("CRYPTOCDC_WEBSOCKET_URL", f"ws://{SIMULATOR}"),
    ),
    "credentialsSecretRef": Edit(
        {"credentialsSecretRef": KEY},
        PRODUCER,
        _environment("CRYPTOCDC_API_KEY_FILE", f"/var/run/secrets/cryptocdc/{KEY}/api-key"),
    ),
    "retention.postgres": Edit({"retention": {"postgres": "5d"}}, NOBODY, _verifier_keeps("5d")),
    "retention.kafka": Edit({"retention": {"kafka": "2h"}}, NOBODY, _topics_keep(7_200_000)),
    "retention.cassandra": Edit({"retention": {"cassandra": "30d"}}, CONSUMER | API, _expires_within(30)),
    "scaling.producers": Edit({"scaling": {"producers": 2}}, NOBODY, _runs("producer", 2)),
    "scaling.consumers": Edit({"scaling": {"consumers": 2}}, NOBODY, _runs("consumer", 2)),
    # From the standard library, so that the consumer's image has it: it returns its second argument.
    "transform": Edit({"transform": "typing:cast"}, CONSUMER, _runs("consumer", 2)),
    "transform no more": Edit({"transform": None}, CONSUMER, _runs("consumer", 2)),
    "suspend": Edit({"suspend": True}, NOBODY, _suspended),
    "suspend no more": Edit({"suspend": False}, NOBODY, _runs("producer", 2)),
    "deletionPolicy": Edit({"deletionPolicy": "Delete"}, NOBODY, _topics_are_owned(True)),
    "deletionPolicy again": Edit({"deletionPolicy": "Retain"}, NOBODY, _topics_are_owned(False)),
    "alerts": Edit({"alerts": [{"symbol": "BTCUSDT", "above": 1}]}, NOBODY, _fires("BTCUSDT")),
    "alerts again": Edit({"alerts": [{"symbol": "ETHUSDT", "above": 1}]}, ALERTER, _fires("ETHUSDT")),
    "alertWebhook.url": Edit({"alertWebhook": {"url": WEBHOOK}}, ALERTER, _runs("alerter", 1)),
    "alertWebhook.secretRef": Edit({"alertWebhook": {"url": None, "secretRef": KEY}}, ALERTER, _runs("alerter", 1)),
    "alerts no more": Edit({"alerts": [], "alertWebhook": None}, ALERTER, _runs("alerter", 0)),
    "analytics.bars": Edit({"analytics": {"bars": ["5s", "1m"]}}, CONSUMER | API, _bars("5s")),
    "analytics.bookMetrics": Edit(
        {"analytics": {"bookMetrics": True}}, CONSUMER | API | ANALYZER, _computes("book_metrics")
    ),
    "analytics.volatility": Edit(
        {"analytics": {"volatility": ["1m"]}}, CONSUMER | API | ANALYZER, _computes("realized_volatility")
    ),
    "analytics.anomalies": Edit(
        {"analytics": {"anomalies": ["1m"]}}, CONSUMER | API | ANALYZER, _computes("anomalies")
    ),
    "analytics.forecasts": Edit(
        {"analytics": {"forecasts": ["1m"]}}, CONSUMER | API | ANALYZER, _computes("forecasts")
    ),
    "scaling.analyzers": Edit({"scaling": {"analyzers": 2}}, NOBODY, _runs("analyzer", 2)),
    "analytics no more": Edit({"analytics": None}, CONSUMER | API | ANALYZER, _runs("analyzer", 0)),
    "streams.crypto24hStats given up": Edit(
        {"streams": {"crypto24hStats": None}},
        PRODUCER | API,
        _no_longer_captured("crypto_24h_stats", "latest_prices"),
    ),
    "streams.crypto24hStats again": Edit(
        _stream("crypto24hStats", source="websocket"),
        PRODUCER | API,
        lambda feed: _frames(feed, "crypto_24h_stats", "websocket") > 0,
    ),
}
"""By field, or by field and new value. They are made one after the other, to the same feed."""


@pytest.fixture(scope="module")
def edited(cluster: Cluster) -> Iterator[Feed]:
    keys = [f"--from-literal={key}" for key in ("api-key=made-up", f"url={WEBHOOK}")]
    secret = ["create", "secret", "generic", KEY, *keys, "--dry-run=client", "-o", "json"]
    cluster.kubectl("apply", "-f", "-", given=cluster.kubectl(*secret))
    feed = Feed(cluster, "edited")
    streams = {name: settings for name, settings in STREAMS.items() if name != "orderBook"}
    feed.apply(["BTCUSDT", "ETHUSDT"], streams=streams, retention={"cassandra": "90d"})
    feed.wait_ready()
    feed.wait_flowing()
    yield feed
    feed.change({"deletionPolicy": "Delete"})
    feed.delete()


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_field_takes_effect_and_restarts_only_what_it_must(edited: Feed, name: str) -> None:
    edit = EDITS[name]
    edited.wait_ready()
    before = edited.revisions()
    edited.change(edit.spec)
    edited.wait_ready()
    wait_for(f"{name} has taken effect", lambda: edit.seen(edited), 180)
    after = edited.revisions()
    assert {part for part in before if after.get(part) != before[part]} == edit.restarts


def test_rows_flow_after_all_edits(edited: Feed) -> None:
    edited.wait_flowing()


def test_all_rows_are_equal_after_all_edits(edited: Feed) -> None:
    assert edited.wait_proven() > 0
    edited.verify()
