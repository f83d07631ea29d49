"""An outage of raw trades, which the host does not return by id, healed from the archive's file of the day."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from cryptocdc_core.names import quoted
from cryptocdc_core.storage import ddl
from cryptocdc_local.applier import Servers
from tests.integration import simulator
from tests.integration.api_client import free_port
from tests.integration.feed_by_hand import Feed
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform


class House:
    """A feed of raw trades with a producer and a consumer of its own."""

    def __init__(self, feed: Feed, simulator_port: int) -> None:
        self.feed, self.simulator, self.metrics = feed, simulator_port, free_port()
        feed.start()
        own = {
            "CRYPTOCDC_FEED": str(feed.file), "CRYPTOCDC_SOURCE": "simulated", "CRYPTOCDC_METRICS_HOST": "127.0.0.1",
            "CRYPTOCDC_METRICS_PORT": str(self.metrics), "CRYPTOCDC_ARCHIVE_RETRY_S": "1",
            "CRYPTOCDC_REST_URL": f"http://127.0.0.1:{simulator_port}",
            "CRYPTOCDC_WEBSOCKET_URL": f"ws://127.0.0.1:{simulator_port}",
        }  # fmt: skip
        self._producer = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.producer_without_ids"], env=feed.environment | own
        )

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        return self.feed.sql(query.format(schema=quoted(self.feed.plan.names.schema)))

    def gaps(self, state: str) -> list[tuple[Any, ...]]:
        return self.sql(f"SELECT first, last, reason FROM {{schema}}.{ddl.GAPS} WHERE state = '{state}' ORDER BY first")

    def trades(self) -> list[int]:
        return [row[0] for row in self.sql("SELECT trade_id FROM {schema}.recent_trades ORDER BY trade_id")]

    def gauge(self, name: str) -> float:
        lines = requests.get(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10).text.splitlines()
        named = f'cryptocdc_producer_{name}{{table="recent_trades"}} '
        return next(float(line.removeprefix(named)) for line in lines if line.startswith(named))

    def outage(self) -> tuple[int, int]:
        """The raw trades of the next aggregate trades are in no stream. Returns the first and the last id."""
        first, last = simulator.fault(self.simulator, "drop-trades", symbol="BTCUSDT", count=5)["trade_ids"]
        return first, last

    def of_these_days(self, kind: str, **more: int) -> None:
        """Makes the files of today, and of tomorrow in case it begins meanwhile, faulty."""
        for days in (0, 1):
            day = datetime.now(UTC) + timedelta(days=days)
            file = f"BTCUSDT-trades-{day:%Y-%m-%d}.zip"
            simulator.fault(self.simulator, "archive", "", file=file, kind=kind, **more)

    def first_id_of_today(self) -> int:
        path = f"data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-{datetime.now(UTC):%Y-%m-%d}.zip"
        zipped = requests.get(f"http://127.0.0.1:{self.simulator}/{path}", timeout=60).content
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive, archive.open(archive.namelist()[0]) as member:
            return int(member.readline().partition(b",")[0])

    def stop(self) -> None:
        self._producer.send_signal(signal.SIGTERM)
        assert self._producer.wait(60) == 0
        self.feed.stop()


@pytest.fixture(scope="module")
def house(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with simulator.running("--rate", "0.3") as port:
        feed = Feed(
            servers, tmp_path_factory.mktemp("healing"), "healed",
            endpoints={"archive": f"http://127.0.0.1:{port}"}, streams={"recentTrades": {"kind": "trade"}},
        )  # fmt: skip
        made = House(feed, port)
        try:
            yield made
        finally:
            made.stop()


def test_a_feed_with_raw_trades_heals_an_outage_from_the_days_file(house: House) -> None:
    began = len(wait_for("trades", house.trades))
    first, last = house.outage()
    [gap] = wait_for("the gap waits", lambda: [it for it in house.gaps("open") if it[2]])
    assert gap == (first, last, f"waits for the archive's file of {datetime.now(UTC):%Y-%m-%d}")
    assert (house.gauge("gaps_open"), house.gauge("gaps_waiting")) == (0, 1)

    house.of_these_days("wrong-checksum")
    house.of_these_days("early")
    wait_for("why the file is not used", lambda: "its SHA-256 is" in house.gaps("open")[0][2])
    simulator.fault(house.simulator, "clear")
    house.of_these_days("early")

    [healed] = wait_for("the gap closed", lambda: house.gaps("filled"))
    assert healed == (first, last, f"from the archive's file of {datetime.now(UTC):%Y-%m-%d}")
    stored = house.trades()
    assert len(stored) > began
    assert stored == list(range(stored[0], stored[-1] + 1)), "every id, and each once"
    assert not house.gaps("open")
    assert (house.gauge("gaps_open"), house.gauge("gaps_waiting")) == (0, 0)
    report = house.feed.verify(end=time.time_ns() // 1_000_000 - 2000)
    assert report.equal, report.to_json()
    assert report.rows >= last - first + 1


def test_what_the_file_lacks_is_named_and_the_rest_is_filled(house: House) -> None:
    house.of_these_days("early")
    row_0 = house.first_id_of_today()
    simulator.fault(house.simulator, "clear")
    first, last = house.outage()
    wait_for("the gap waits", lambda: house.gaps("open") and house.gaps("open")[0][2])

    house.of_these_days("hole", row=first + 1 - row_0, count=2)
    house.of_these_days("early")

    [ended] = wait_for("the gap ended", lambda: house.gaps("unfillable"))
    assert ended[2].endswith(f" lacks 2 of {last - first + 1}: {first + 1} to {first + 2}")
    wanted = set(range(first, last + 1)) - {first + 1, first + 2}
    assert wanted == set(range(first, last + 1)).intersection(house.trades())
