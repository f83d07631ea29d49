"""The alerter on a real Kafka with prices written by tests: its reports do not depend on crashes or replicas."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.metrics.figures import scrape
from cryptocdc_core.catalogue.computed import ANOMALIES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Topic
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_core.rows.changes import record_end, record_value
from cryptocdc_core.rows.versions import version
from cryptocdc_core.storage.partitioning import partition_of
from cryptocdc_local.applier import Servers
from tests.integration.api_client import free_port
from tests.integration.conftest import feed_document
from tests.integration.topics import read
from tests.integration.waiting import wait_for
from tests.integration.webhook import Hook

pytestmark = pytest.mark.platform

PARTITIONS = 4
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
ALERTS = [
    *({"symbol": symbol, "window": "1h", "dropPercent": 5} for symbol in SYMBOLS),
    {"symbol": "ETHUSDT", "above": 110},
]
START_MS = 1_790_000_000_000


class Market:
    """A feed whose prices, or other rows, a test writes itself."""

    def __init__(
        self, settings: KafkaSettings, folder: Path, stream: str = "latestPrices", table: str = "latest_prices",
        **spec: Any,
    ) -> None:  # fmt: skip
        """`table` is the one that the feed's alerts read."""
        given = {"alerts": ALERTS, **spec}
        document = feed_document(f"hand-{uuid.uuid4().hex[:8]}", list(SYMBOLS), {stream: {}}, **given)
        self.file = folder / "feed.yaml"
        self.file.write_text(yaml.safe_dump(document))
        self.names = Names(f"{feeds.parse(document).name.replace('-', '_')}_sim")
        self.topic = self.names.change_topic(table)
        self.settings = settings
        topics = [Topic(self.topic, PARTITIONS, {}),
                  Topic(self.names.alerts_topic, 1, {"cleanup.policy": "compact"})]  # fmt: skip
        kafka.apply_topics(settings, topics, 1)
        self._producer = Producer(kafka.client_config(settings, acks="all"))
        self.sent = 0

    def send(self, symbol: str, *prices: float) -> None:
        """A second apart, as Debezium would send them."""
        for price in prices:
            at_ms = START_MS + self.sent * 1000
            change = {
                "symbol": symbol, "event_time": at_ms, "price": str(price), "received_at": at_ms,
                "version": at_ms * 1000,
                "__op": "c", "__lsn": self.sent, "__source_ts_us": at_ms * 1000, "__deleted": "false",
            }  # fmt: skip
            self._put(symbol, json.dumps(change).encode())
        assert self._producer.flush(30) == 0

    def compared(self, symbol: str, open_ms: int, reason: str | None) -> None:
        """Send a row of anomalies as the analyzer would, of a bar of five seconds; one without `reason` is none."""
        row = {
            **dict.fromkeys(ANOMALIES.column_names), "symbol": symbol, "interval": "5s", "kind": "volume",
            "open_time": open_ms, "close_time": open_ms + 4_999, "anomaly": reason is not None, "value": "31.5",
            "expected": "2.40711", "score": "7.21083", "reason": reason, "window_count": 87,
            "event_time": open_ms + 4_000, "received_at": open_ms + 4_010, "version": version(open_ms) + 900,
        }  # fmt: skip
        self._put(symbol, record_value(row, record_end("u", open_ms * 1000)))
        assert self._producer.flush(30) == 0

    def _put(self, symbol: str, value: bytes) -> None:
        self._producer.produce(self.topic, value, json.dumps({"symbol": symbol}), partition_of(symbol, PARTITIONS))
        self.sent += 1

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(r.value) for r in read(self.settings, self.names.alerts_topic) if r.value is not None]

    def reported(self) -> list[tuple[str, str, str]]:
        return [(record["id"].split("/", 1)[0], record["state"], record["price"]) for record in self.records()]

    def lag(self) -> int:
        return offsets.group_lag(self.settings, self.names.alerter_group, [self.topic])


class Alerter:
    def __init__(self, market: Market, environment: dict[str, str]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("cryptocdc-alerter"))],
            env={
                **os.environ, **environment, "CRYPTOCDC_FEED": str(market.file), "CRYPTOCDC_SOURCE": "simulated",
                "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": self.address.partition(":")[2],
            },
        )  # fmt: skip

    def metric(self, name: str, **match: str) -> float:
        return scrape([self.address]).total(f"cryptocdc_alerter_{name}", **match)

    def assigned(self) -> bool:
        """Its gauges are there once it has a partition."""
        return "cryptocdc_alerter_firing" in scrape([self.address]).values

    def end(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self._process.wait(30)


@pytest.fixture
def market(servers: Servers, tmp_path: Path) -> Iterator[Market]:
    made = Market(servers.kafka, tmp_path)
    yield made
    kafka.delete_topics(servers.kafka, [made.topic, made.names.alerts_topic])


@contextlib.contextmanager
def running(market: Market, command_environment: dict[str, str]) -> Iterator[Alerter]:
    alerter = Alerter(market, command_environment)
    try:
        wait_for("the alerter to have its partitions", alerter.assigned, 120)
        yield alerter
    finally:
        with contextlib.suppress(ProcessLookupError):
            alerter.end(signal.SIGKILL)


def test_alerts_are_reported_once_even_if_the_alerter_is_killed(
    market: Market, command_environment: dict[str, str]
) -> None:
    with running(market, command_environment) as alerter:
        market.send("ETHUSDT", 100, 101, 99)
        wait_for("the prices to be committed", lambda: market.lag() == 0)
        market.send("ETHUSDT", 95.5)
        wait_for("the drop to be reported", lambda: len(market.reported()) == 1)
        alerter.end(signal.SIGKILL)  # perhaps before it has committed the price that made it fire
    market.send("ETHUSDT", 96, 97, 90)  # no alerter runs
    with running(market, command_environment) as alerter:
        wait_for("what was missed", lambda: market.lag() == 0)
        assert alerter.metric("filled_total") > 0
        assert alerter.metric("firing", symbol="ETHUSDT") == 1
        market.send("ETHUSDT", 100, 111)
        wait_for("both", lambda: len(market.reported()) >= 3)
        assert alerter.end(signal.SIGTERM) == 0
    with running(market, command_environment):
        market.send("ETHUSDT", 112, 100)
        wait_for("all", lambda: len(market.reported()) >= 7)
    assert market.reported() == [
        ("ETHUSDT", "firing", "95.5"),  # 5.4 % below 101
        ("ETHUSDT", "resolved", "97"),  # less than 4.5 %, while no alerter ran
        ("ETHUSDT", "firing", "90"),
        ("ETHUSDT", "resolved", "100"),
        ("ETHUSDT", "firing", "111"),  # above
        ("ETHUSDT", "firing", "100"),  # 10.7 % below 112
        ("ETHUSDT", "resolved", "100"),  # no longer above
    ]


def test_two_alerters_share_the_symbols_and_take_over_from_each_other(
    market: Market, command_environment: dict[str, str]
) -> None:
    with running(market, command_environment) as first:
        for symbol in SYMBOLS:
            market.send(symbol, 100, 100)
        wait_for("the prices", lambda: first.metric("prices_total") == 8)
        with running(market, command_environment) as second:
            for symbol in SYMBOLS:
                market.send(symbol, 94)
            wait_for("an alert for each", lambda: len(market.reported()) == len(SYMBOLS))
            assert second.metric("prices_total") > 0
            assert second.end(signal.SIGTERM) == 0
        for symbol in SYMBOLS:
            market.send(symbol, 93, 100)
        wait_for("each to resolve", lambda: len(market.reported()) == 2 * len(SYMBOLS))
    reported = market.reported()
    assert sorted(reported[:4]) == [(symbol, "firing", "94") for symbol in SYMBOLS]
    assert sorted(reported[4:]) == [(symbol, "resolved", "100") for symbol in SYMBOLS]


def test_an_anomaly_is_recorded_and_posted_and_so_is_its_end(
    servers: Servers, tmp_path: Path, command_environment: dict[str, str]
) -> None:
    reason = "volume 31.5 is 7.21083 standard deviations above 2.40711, the mean of 87 windows"
    with contextlib.closing(Hook()) as hook, contextlib.ExitStack() as after:
        market = Market(
            servers.kafka, tmp_path, "recentTrades", ANOMALIES.table,
            alerts=[{"symbol": "ETHUSDT", "anomaly": True}], alertWebhook={"url": hook.url},
            analytics={"bars": ["5s"], "anomalies": ["5s"]},
        )  # fmt: skip
        after.callback(kafka.delete_topics, servers.kafka, [market.topic, market.names.alerts_topic])
        open_ms = int(time.time()) // 5 * 5_000 - 10_000
        with running(market, command_environment) as alerter:
            market.compared("BTCUSDT", open_ms, reason)
            market.compared("ETHUSDT", open_ms - 5_000, None)
            market.compared("ETHUSDT", open_ms, reason)
            wait_for("the alert to be posted", lambda: hook.got)
            assert alerter.metric("firing", symbol="ETHUSDT") == 1
            market.compared("ETHUSDT", open_ms + 5_000, None)
            wait_for("its end to be posted", lambda: len(hook.got) == 2)
        fired, resolved = hook.got
        assert market.records() == hook.got
    assert (fired["id"], fired["state"], fired["price"]) == ("ETHUSDT/anomaly", "firing", "31.5")
    found = {"kind": "volume", "interval": "5s", "open_time_ms": open_ms, "reason": reason}
    assert fired["anomaly"].items() >= found.items()
    assert fired["at_ms"] == open_ms + 4_999
    assert (resolved["id"], resolved["state"]) == ("ETHUSDT/anomaly", "resolved")
    assert (resolved["anomaly"]["open_time_ms"], resolved["anomaly"]["reason"]) == (open_ms + 5_000, None)
