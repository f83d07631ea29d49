"""A market named in another script, with prices of eight decimals, through every hop: servers, API, page, alert."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from playwright.sync_api import expect, sync_playwright
from websockets.sync.client import connect as websocket

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_core.catalogue import Bucket
from cryptocdc_core.storage.partitioning import change_partition
from cryptocdc_core.time.times import millis
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.run import Run
from tests.integration.api_client import ask, healthy, pages, rows
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, CAPTURED, feed_document, starter
from tests.integration.runs import assert_equal, finish
from tests.integration.test_alerts import metric, records
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOL = "币安人生USDT"
CHROMIUM = shutil.which("chromium")
SCREENSHOTS = os.environ.get("CRYPTOCDC_TEST_SCREENSHOTS")
"""A folder where the page's pictures are kept, for a person to look at."""


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    streams = {**ALL_STREAMS, "klines": {"source": "websocket", "intervals": ["1s", "1m"]}}
    alerts = [{"symbol": SYMBOL, "above": 0.000001}]
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(feed_document("named", [SYMBOL, "BTCUSDT"], streams, alerts=alerts)) as run,
    ):
        wait_for("the API", lambda: healthy(run.address))
        for stream in CAPTURED:
            wait_for(f"{stream.table} of {SYMBOL}", lambda table=stream.table: of_symbol(run, table))  # type: ignore[misc]
        yield run


def of_symbol(it: Run, table: str) -> object:
    answer = ask(it.address, f"/{table}", symbol=SYMBOL, limit=5)
    return answer.ok and answer.json()


def test_rows_of_a_market_in_another_script_are_paged(it: Run) -> None:
    assert SYMBOL in [row["symbol"] for row in rows(it.address, "/symbols")]
    wait_for("ten trades", lambda: len(rows(it.address, "/recent_trades", symbol=SYMBOL)) > 10)
    end = rows(it.address, "/recent_trades", symbol=SYMBOL, limit=1)[0]["trade_time_ms"]
    found = [row for page in pages(it.address, "/recent_trades", symbol=SYMBOL, limit=4, to=end) for row in page]
    assert found == rows(it.address, "/recent_trades", symbol=SYMBOL, limit=1000, to=end)
    assert {row["symbol"] for row in found} == {SYMBOL}


def test_rows_of_a_market_in_another_script_are_pushed_to_subscribers(it: Run) -> None:
    url = f"{it.address.replace('http', 'ws')}/live?symbols={quote(SYMBOL)}"
    with websocket(url, open_timeout=20) as socket:
        assert json.loads(socket.recv(20))["symbols"] == [SYMBOL]
        pushed = json.loads(socket.recv(60))
    assert {row["symbol"] for row in pushed} == {SYMBOL}


def test_an_alert_of_a_market_in_another_script_fires(it: Run) -> None:
    wait_for("the alert's record", lambda: records(it))
    assert [(record["id"], record["symbol"]) for record in records(it)] == [(f"{SYMBOL}/above/0.000001", SYMBOL)]
    wait_for("the metric", lambda: metric(it, "firing", symbol=SYMBOL) == 1)


def test_a_row_of_a_market_in_another_script_is_traced(
    it: Run, command_environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "named.yaml"
    file.write_text(yaml.safe_dump(it.applied.document, allow_unicode=True), encoding="utf-8")
    answer = cryptocdc(command_environment, "trace", "-f", file, "--symbol", SYMBOL.lower(), "--json", "--limit", 60)
    assert answer.code == 0, answer.err
    found = answer.json()
    assert (found["symbol"], found["equal"]) == (SYMBOL, True)
    exchange, _, _, kafka, _ = (hop["facts"] for hop in found["hops"])
    assert exchange["channel"] == "币安人生usdt@aggTrade"
    assert kafka["partition"] == change_partition(SYMBOL, 6)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; Debian's package chromium has it")
def test_the_page_shows_small_prices_with_all_their_digits(it: Run) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1130})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{it.address}/?symbol={quote(SYMBOL)}&interval=1s")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=60_000)
        expect(page.get_by_role("combobox", name="Symbol")).to_have_value(SYMBOL)
        expect(page.locator("#price")).to_have_text(re.compile(r"^0\.0000\d{4}$"), timeout=60_000)
        expect(page.locator("#candle")).to_have_text(re.compile(r"close 0\.0000\d{4}"), timeout=60_000)
        near = re.compile(r"largest bid near 0\.0000\d{1,4}, largest ask near 0\.0000\d{1,4}")
        expect(page.locator("#heat-note")).to_have_text(near, timeout=60_000)
        labels = wait_for(
            "the heatmap's axis", lambda: (page.locator("#heat").get_attribute("data-prices") or "").split()
        )
        assert len(labels) == len(set(labels)) > 1
        assert all(re.fullmatch(r"0\.0000\d{1,6}", label) for label in labels), labels
        if SCREENSHOTS:
            page.wait_for_timeout(30_000)
            page.screenshot(path=str(Path(SCREENSHOTS) / "small-prices.png"))
        assert errors == []
        browser.close()


def test_everything_is_proven_equal_and_one_second_candles_have_daily_buckets(it: Run) -> None:
    assert_equal(finish(it))
    cluster, session = cassandra.connect(it.servers.cassandra, it.plan.names.keyspace)
    try:
        found = session.execute("SELECT DISTINCT symbol, interval, month FROM klines")
        starts = {(row.symbol, row.interval): row.month for row in found}
        # On the first of a month a query of Grafana names the same partition twice, as a day and as a month.
        twice = "SELECT open_time FROM klines WHERE symbol = %s AND interval = '1s' AND month IN (%s, %s)"
        times = [row.open_time for row in session.execute(twice, [SYMBOL, *[starts[SYMBOL, "1s"]] * 2])]
    finally:
        cluster.shutdown()
    assert set(starts) == {(symbol, interval) for symbol in (SYMBOL, "BTCUSDT") for interval in ("1s", "1m")}
    for (_, interval), start in starts.items():
        at_ms = millis(start)
        assert (Bucket.DAY if interval == "1s" else Bucket.MONTH).floor(at_ms) == at_ms
    assert starts[SYMBOL, "1s"] >= starts[SYMBOL, "1m"]
    assert len(times) == len(set(times)) > 0
