"""A market whose trades a test inserts, and the analyzer that computes rows from them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.metrics.figures import scrape
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.storage.ddl import postgres_partition
from cryptocdc_local.applier import Servers
from tests.integration.api_client import free_port
from tests.integration.feed_by_hand import Feed, hour_before_last

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MINUTE_MS = 60_000


class Market(Feed):
    """A feed with bars, whose trades a test inserts."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        super().__init__(
            servers, folder, "computed", symbols={"names": list(SYMBOLS)},
            streams={"recentTrades": {}, "orderBook": {}},
            analytics={
                "bars": ["5s", "3s", "1m"], "volatility": ["3s", "1m"], "bookMetrics": True, "anomalies": ["5s"],
                "forecasts": ["3s"],
            },
        )  # fmt: skip
        self.base_ms = hour_before_last()
        self.next_id = 1

    def trade(self, minute: int, count: int = 60, ms: int = 0, size: int = 1) -> None:
        """Insert `count` trades of each symbol, spread over a minute that is `minute` minutes after `base_ms`, and of
        `size` times the usual quantity."""
        start = self.base_ms + minute * MINUTE_MS + ms
        schema = self.plan.names.schema
        self.sql(postgres_partition(self.plan.names, by_table("recent_trades"), start - start % 86_400_000))
        for symbol in SYMBOLS:
            self.sql(
                f"INSERT INTO {schema}.recent_trades SELECT '{symbol}', at, n, (100 + (n * 7919) % 997 * 0.01),"
                f" ((n * 104729) % 8191 * 0.00001 * {size}), n, n, n % 3 = 0, at + interval '20 ms',"
                " (extract(epoch from at) * 1000000)::bigint"
                f" FROM (SELECT n, timestamp 'epoch' + ({start} + (n - {self.next_id}) * {MINUTE_MS // count})"
                f" * interval '1 ms' AS at FROM generate_series({self.next_id}, {self.next_id + count - 1}) n) rows"
            )
        self.next_id += count

    def lag(self) -> int:
        names = self.plan.names
        read = [names.change_topic(table) for table in ("recent_trades", "order_book")]
        return offsets.group_lag(self.servers.kafka, names.analyzer_group, read)


class Analyzer:
    def __init__(self, market: Market) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("cryptocdc-analyzer"))],
            env={
                **market.environment, "CRYPTOCDC_FEED": str(market.file), "CRYPTOCDC_SOURCE": "simulated",
                "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": self.address.partition(":")[2],
            },
        )  # fmt: skip

    def metric(self, name: str) -> float:
        return scrape([self.address]).total(f"cryptocdc_analyzer_{name}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextlib.contextmanager
def running(market: Market) -> Iterator[Analyzer]:
    analyzer = Analyzer(market)
    try:
        yield analyzer
    finally:
        with contextlib.suppress(ProcessLookupError):
            analyzer.process.send_signal(signal.SIGCONT)
            analyzer.end(signal.SIGKILL)
