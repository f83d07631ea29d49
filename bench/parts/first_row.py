"""Time to the first row and to the last day's candles, and memory use, measured with the command that users run."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.pipeline.pipelines import PORTS, environment, wait_until
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.servers.process import ServerProcess
from cryptocdc_local.running.programs import caller
from cryptocdc_producer.streams.continuity import past_klines

SETTLE_S = 20
"""Time after the first row for every stream and the verifier to start."""
ROWS = "cryptocdc_consumer_rows_total"
MINUTE_MS, DAY_MS = 60_000, 86_400_000
CANDLES_OF = "BTCUSDT"
FEED: dict[str, Any] = {
    "apiVersion": "cryptocdc.io/v1alpha1", "kind": "CryptoFeed", "metadata": {"name": "bench"},
    "spec": {
        "exchange": "simulated", "symbols": {"top": {"count": 5}},
        "streams": {"recentTrades": {}, "klines": {}, "crypto24hStats": {}, "latestPrices": {}, "orderBook": {}},
    },
}  # fmt: skip


@contextlib.contextmanager
def capturing(platform: Platform, folder: Path, feed: Path | None = None, **settings: str) -> Iterator[None]:
    """Run `cryptocdc run` with a feed, by default FEED, during the block, with `settings` in its environment."""
    if feed is None:
        feed = folder / "first.yaml"
        feed.write_text(yaml.safe_dump(FEED), encoding="utf-8")
    program = str(Path(sys.executable).with_name("cryptocdc"))
    command = [program, "run", "-f", str(feed), "--source", "simulated"]
    with (folder / "first.log").open("w") as log:
        run = subprocess.Popen(command, env={**environment(platform), **settings}, stdout=log, stderr=log)
        try:
            yield
        finally:
            run.send_signal(signal.SIGTERM)  # in the background a SIGINT may be ignored
            run.wait(120)


@dataclass(frozen=True)
class FirstRow:
    """Seconds from the command to the first row in Cassandra, and to the API's response with the last 24 hours of one
    symbol, every minute's candle that is final; then MiB by process."""

    row_s: float
    candles_s: float
    memory_mib: dict[str, float]


def first_row(platform: Platform, folder: Path) -> FirstRow:
    """Measure a start from empty folders."""
    platform.erase()
    began = time.monotonic()
    try:
        with capturing(platform, folder):
            wait_until("the first row", lambda: scraped(platform, "consumer", ROWS) > 0, every_s=0.05, limit_s=120)
            row_s = time.monotonic() - began
            # Each look reads a day of candles, which must not slow down what it waits for.
            wait_until("a day of candles", _has_candles, every_s=0.5, limit_s=240)
            candles_s = time.monotonic() - began
            time.sleep(SETTLE_S)
            return FirstRow(row_s, candles_s, _memory(platform))
    finally:
        platform.erase()


def final_candles(now_ms: int) -> range:
    """Return the open times, in milliseconds, of the one-minute candles that opened within the last 24 hours and are
    final."""
    past = past_klines("1m", DAY_MS, now_ms)
    assert past is not None
    first, last = past
    return range(first, last + MINUTE_MS, MINUTE_MS)


def _has_candles() -> bool:
    """Return whether the API has all of them; False while it does not respond or does not know the symbol."""
    wanted = final_candles(time.time_ns() // 1_000_000)
    url = (
        f"http://127.0.0.1:{PORTS.api}/klines?symbol={CANDLES_OF}&interval=1m&stream=true"
        f"&from={wanted.start}&to={wanted.stop}"
    )
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return {row["open_time_ms"] for row in json.load(response) if row["closed"]}.issuperset(wanted)
    except (OSError, ValueError):
        return False


def _targets(platform: Platform) -> list[dict[str, object]]:
    files = (platform.settings.run / "targets").glob("*.json")
    return [target for file in files for target in json.loads(file.read_text(encoding="utf-8"))]


def scraped(platform: Platform, program: str, metric: str) -> float:
    """Return the sum of a metric's samples over all processes of a program that respond."""
    sample, found = re.compile(rf"^{metric}(?:{{.*}})? (\S+)$", re.MULTILINE), 0.0
    for target in _targets(platform):
        if target["labels"]["program"] == program:  # type: ignore[index]
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://{target['targets'][0]}/metrics", timeout=2) as response,  # type: ignore[index]
            ):
                found += sum(map(float, sample.findall(response.read().decode())))
    return found


def _memory(platform: Platform) -> dict[str, float]:
    settings = platform.settings
    found = {status.name: status.resident for status in platform.status()}
    for target in _targets(platform):
        labels: dict[str, str] = target["labels"]  # type: ignore[assignment]
        process = ServerProcess(labels["instance"], caller(), settings.run, settings.log)
        found[labels["program"]] = found.get(labels["program"], 0) + process.memory()
    found["total"] = sum(found.values())
    return {name: size / 2**20 for name, size in found.items()}
