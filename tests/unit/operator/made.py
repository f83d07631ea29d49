"""All Kubernetes objects of some feeds, for tests that examine them."""

from typing import Any

from tests.unit.core.feeds import feed
from tests.unit.operator.doubles import FACTS
from tests.unit.operator.world import ADDRESSES, SETTINGS

from cryptocdc_core.names import Source
from cryptocdc_core.planning.plan import plan
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_operator.resources import feed_map, kafka, spark
from cryptocdc_operator.resources import supporting_objects as supporting
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.resources.programs import programs_of
from cryptocdc_operator.resources.workloads import deployment

OWNER = Owner("my-feed", "uid")
PROGRAMS = ("producer", "consumer", "api")
STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}, "crypto24hStats": {}, "latestPrices": {}, "orderBook": {}}
FEEDS: dict[str, Any] = {
    "a few": {"streams": STREAMS},
    "scaled": {"streams": STREAMS, "scaling": {"producers": 3, "consumers": 4}, "deletionPolicy": "Delete"},
    "with a key, elsewhere": {
        "streams": {"klines": {}},
        "credentialsSecretRef": "binance-key",
        "exchange": "binance-us",
        "endpoints": {"rest": "http://mock", "websocket": "wss://mock.example:9000"},
    },
    "with alerts": {
        "streams": STREAMS,
        "alerts": [
            {"symbol": "ETHUSDT", "window": "1h", "dropPercent": 2.5},
            {"symbol": "BTCUSDT", "above": 0.00001234},
        ],
        "alertWebhook": {"secretRef": "pager"},
    },
    "by Spark": {"streams": STREAMS, "scaling": {"consumers": 2}, "sink": {"engine": "spark"}},
    "simulated": {"streams": {"klines": {}}, "exchange": "simulated", "suspend": True},
}


def planned(**spec):
    made = feed("my-feed", **spec)
    source: Source = "simulated" if made.spec.exchange == "simulated" else "exchange"
    return plan(ResolvedFeed(made, source, ("BTCUSDT", "ETHUSDT")), FACTS)


def everything(settings=SETTINGS, **spec):
    made = planned(**spec)
    programs = programs_of(made, settings, ADDRESSES)
    drivers = [program for program in programs if program.component == "spark"]
    return [
        feed_map.feed_map(
            made, feed_map.feed_text(made), OWNER, spark.files(drivers[0], made, settings) if drivers else None
        ),
        *kafka.topics(made, settings, OWNER),
        *(kafka.connector(shard, made, settings, OWNER, "running") for shard in made.connectors),
        *(deployment(program, made.feed, settings, OWNER) for program in programs),
        *(spark.application(driver, made, settings, OWNER) for driver in drivers if settings.spark_mode == "operator"),
        *supporting.supporting_objects(programs, made, settings, OWNER),
    ]


def one(kind, name, settings=SETTINGS, **spec):
    return next(o for o in everything(settings, **spec) if (o["kind"], o["metadata"]["name"]) == (kind, name))


def environment(made):
    return {e["name"]: e["value"] for e in made["spec"]["template"]["spec"]["containers"][0]["env"]}
