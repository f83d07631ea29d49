"""A crash on the simulator is reported: a record, the webhook, the metric, Prometheus; once, even after restarts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from cryptocdc_adapters.metrics.figures import scrape
from cryptocdc_core.names import Names
from cryptocdc_local.running.run import Run
from tests.integration.conftest import Document, Starter, feed_document
from tests.integration.prometheus import PROGRAM, firing, prometheus
from tests.integration.topics import read
from tests.integration.waiting import wait_for
from tests.integration.webhook import Hook

pytestmark = pytest.mark.platform

DROP = {"symbol": "ETHUSDT", "window": "1h", "dropPercent": 5}
DROP_ID = "ETHUSDT/dropPercent/5/1h"
SOON_S = 20
"""From the crash to the alert: the simulator's next slot begins within 5 s, and prices come once a second."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with contextlib.closing(Hook()) as made:
        yield made


def records(it: Run) -> list[Document]:
    topic = Names(it.plan.names.fid).alerts_topic
    return [json.loads(found.value) for found in read(it.servers.kafka, topic) if found.value is not None]


def metric(it: Run, name: str, **match: str) -> float:
    ports = it.programs.ports()
    here = [f"127.0.0.1:{ports[name]}" for name in it.programs.names("alerter")]
    return scrape(here).total(f"cryptocdc_alerter_{name}", **match)


def crash(it: Run, symbol: str, percent: float) -> float:
    """Begins within five seconds; when, in seconds since the epoch."""
    asked = {"symbol": symbol, "percent": str(percent), "seconds": "1"}
    answer = requests.post(f"{it.applied.rest_url}/simulator/faults/crash", params=asked, timeout=5)
    answer.raise_for_status()
    return float(answer.json()["begins"]) / 1000


def watching(it: Run) -> bool:
    return metric(it, "prices_total") > 2


def document(hook: Hook, *alerts: Document) -> Document:
    streams = {"latestPrices": {"source": "websocket"}}
    return feed_document(
        "alerting", ["BTCUSDT", "ETHUSDT"], streams, alerts=list(alerts), alertWebhook={"url": hook.url}
    )


def change(it: Run, *alerts: Document) -> None:
    """As `cryptocdc apply` does with a feed that runs."""
    stored = it.store.read(it.plan.names.fid)
    assert stored is not None
    edited = {**stored.document, "spec": {**stored.document["spec"], "alerts": list(alerts)}}
    it.store.write(replace(stored, document=edited))


def test_a_crash_is_reported_everywhere_and_once(start: Starter, hook: Hook, tmp_path: Path) -> None:
    btc = {"symbol": "BTCUSDT", "window": "1h", "dropPercent": 5}
    hook.refusing = 1
    with start(document(hook, DROP, btc), **{"seed": 3}) as it, contextlib.ExitStack() as stack:
        wait_for("prices to be watched", lambda: watching(it))
        url = None
        if PROGRAM is not None:
            url = stack.enter_context(prometheus(tmp_path, it.platform.settings.targets(it.plan.names.fid)))
        begins = crash(it, "ETHUSDT", 6)
        wait_for("the alert's record", lambda: records(it), SOON_S)
        took_s = time.time() - begins
        (record,) = records(it)
        print(f"recorded {took_s:.1f} s after the crash began")
        assert took_s < SOON_S
        assert (record["id"], record["state"], record["simulated"]) == (DROP_ID, "firing", True)
        assert float(record["change_percent"]) <= -5
        assert float(record["price"]) < float(record["compared_with"]["price"]) * 0.95
        assert abs(record["at_ms"] / 1000 - begins) < SOON_S

        wait_for("the webhook, which refused at first", lambda: hook.got, 15)
        assert hook.got == [record]
        assert metric(it, "firing", alert=DROP_ID) == 1
        assert metric(it, "firing", symbol="BTCUSDT") == 0
        assert it.figures().alerts_firing == (DROP_ID,)
        if url is not None:
            (labels,) = wait_for("Prometheus to fire", lambda: market_alerts(url), 30)
            assert (labels["alert"], labels["symbol"], labels["feed"]) == (DROP_ID, "ETHUSDT", it.plan.names.fid)

        # Killed, it comes back to the same window and the same state, and has nothing new to say.
        others = {name: pid for name, pid in it.programs.pids().items() if "alerter" not in name}
        (alerter,) = it.programs.names("alerter")
        it.programs.kill(alerter)
        wait_for("the alerter to be back", lambda: watching(it), 60)
        assert metric(it, "filled_total") > 0
        assert metric(it, "firing", alert=DROP_ID) == 1
        assert records(it) == [record]

        # Another alert takes the place of both; what fired and is gone resolves.
        change(it, {"symbol": "BTCUSDT", "above": 1})
        wait_for("the new alert to fire", lambda: len(records(it)) == 3, 60)
        resolved, fired = records(it)[1:]
        assert (resolved["id"], resolved["state"]) == (DROP_ID, "resolved")
        assert "no longer in the feed" in resolved["reason"]
        assert (fired["id"], fired["state"]) == ("BTCUSDT/above/1", "firing")
        wait_for("the webhook", lambda: len(hook.got) == 3, 15)
        now = it.programs.pids()
        assert {name: now[name] for name in others} == others, "producers, consumers, verifier and API run on"

        change(it)
        wait_for("the alerter to go with the last alert", lambda: not it.programs.names("alerter"), 30)


def market_alerts(url: str) -> list[dict[str, str]]:
    return [labels for labels in firing(url) if labels["alertname"] == "CryptocdcMarketAlert"]


@pytest.mark.soak  # half a minute
def test_a_crash_while_the_alerter_is_down_is_reported_afterwards(start: Starter, hook: Hook) -> None:
    rise = {"symbol": "ETHUSDT", "window": "1h", "volatilityPercent": 20}
    with start(document(hook, DROP, rise)) as it:
        wait_for("prices to be watched", lambda: watching(it))
        wait_for("an offset to be committed", lambda: metric(it, "prices_total") > 5)
        (alerter,) = it.programs.names("alerter")
        pid = it.programs.pids()[alerter]
        with stopped(pid):
            carried = it.figures().streams["latest_prices"].kafka
            begins = crash(it, "ETHUSDT", 30)
            wait_for("the crash in Kafka", lambda: time.time() > begins + 8
                     and it.figures().streams["latest_prices"].kafka > carried + 10)  # fmt: skip
            killed_at = time.time()
            it.programs.kill(alerter)
        wait_for("both records", lambda: len(records(it)) == 2, 60)
        assert {record["id"] for record in records(it)} == {DROP_ID, "ETHUSDT/volatilityPercent/20/1h"}
        assert all(record["state"] == "firing" for record in records(it))
        fired_at = [record["at_ms"] / 1000 for record in records(it)]
        assert max(fired_at) < killed_at, "by the price that made it so, not by the one that came after the start"


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
