"""`cryptocdc export` on real servers: what is proven becomes files with the same rows, complete or absent."""

from __future__ import annotations

import copy
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.metrics.serving import Health
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.time.times import iso
from cryptocdc_local.applier import Servers
from cryptocdc_verifier.continuous.captured import Continuous
from cryptocdc_verifier.delivery.waiting import delivery_of
from cryptocdc_verifier.verify import sides
from tests.integration.api_client import free_port
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import CAPTURED
from tests.integration.feed_by_hand import Feed
from tests.integration.waiting import wait_for

pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.platform

HOUR_MS = 3_600_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(scope="module")
def hour() -> int:
    """The start of the hour before the last."""
    now = int(time.time() * 1000)
    return now - now % HOUR_MS - 2 * HOUR_MS


@pytest.fixture(scope="module")
def feed(servers: Servers, tmp_path_factory: pytest.TempPathFactory, hour: int) -> Iterator[Feed]:
    made = Feed(servers, tmp_path_factory.mktemp("feeds"), "exported")
    made.start()
    for symbol in SYMBOLS:
        for stream in CAPTURED:
            made.insert(stream.table, [hour + second * 1000 for second in range(50)], symbol)
    prove(made)
    yield made
    made.stop()


def prove(feed: Feed) -> None:
    """Two passes of the verifier: the first withdraws proofs of slices that have changed, the second proves them."""
    with sides(feed.target) as (pg, cs):
        delivery = delivery_of(feed.target, pg)
        metrics, stop = VerifierMetrics("test"), threading.Event()
        continuous = Continuous(feed.target, pg, cs, delivery, metrics, Health(60), stop, rows_per_s=1_000_000)
        for _ in range(2):
            continuous.prove()


def export(feed: Feed, out: object, *more: object) -> Answer:
    return cryptocdc(feed.environment, "export", "-f", feed.file, "--out", out, "--json", *more)


def in_files(out: Path, stream: Stream) -> list[dict[str, Any]]:
    files = sorted((out / f"stream={stream.name}").rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def in_cassandra(feed: Feed, stream: Stream) -> list[dict[str, Any]]:
    cluster, session = cassandra.connect(feed.servers.cassandra, feed.plan.names.keyspace)
    try:
        names = ", ".join(f'"{name}"' for name in stream.column_names)
        return [row._asdict() for row in session.execute(f'SELECT {names} FROM "{stream.table}"')]
    finally:
        cluster.shutdown()


def comparable(stream: Stream, rows: list[dict[str, Any]]) -> list[Any]:
    def value(given: Any) -> Any:
        if isinstance(given, datetime):
            return given.replace(tzinfo=None).isoformat()
        if isinstance(given, list):
            return [Decimal(one) for one in given]
        return given

    made = [[value(row[name]) for name in stream.column_names] for row in rows]
    return sorted(made, key=lambda row: [str(row[stream.position(name)]) for name in stream.key])


def test_every_proven_row_of_every_stream_is_in_the_files_with_the_same_values(feed: Feed, tmp_path: Path) -> None:
    answer = export(feed, tmp_path)
    assert answer.code == 0, answer.err
    for stream in CAPTURED:
        assert answer.json()["streams"][stream.table]["rows"] == 50 * len(SYMBOLS)
        rows = comparable(stream, in_files(tmp_path, stream))
        assert rows == comparable(stream, in_cassandra(feed, stream))
        assert len(rows) == 50 * len(SYMBOLS)

    again = export(feed, tmp_path)
    assert {one["files"] for one in again.json()["streams"].values()} == {0}


def test_rows_that_are_not_proven_are_refused_unless_asked_for(feed: Feed, tmp_path: Path, hour: int) -> None:
    feed.insert("recent_trades", [hour + 2 * HOUR_MS])
    feed.verify()  # waits until it is in Cassandra
    now = hour + 2 * HOUR_MS + 1
    refused = export(feed, tmp_path, "--stream", "recent_trades", "--from", iso(hour), "--to", iso(now))
    assert refused.code == 2
    assert f"recent_trades from {iso(hour + 2 * HOUR_MS)} on are not proven; accepted: --to" in refused.err
    assert not list(tmp_path.rglob("*.parquet"))
    more = ("--stream", "recentTrades", "--symbol", "BTCUSDT", "--from", iso(hour), "--to", iso(now), "--unproven")
    answer = export(feed, tmp_path, *more)
    assert answer.code == 0, answer.err
    assert answer.json()["streams"]["recent_trades"]["hours_unproven"] == 1
    assert answer.json()["streams"]["recent_trades"]["rows"] == 51


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--stream", "bars"], "--stream: 'bars' is not accepted; accepted: those of exported: recentTrades"),
        (["--symbol", "DOGEUSDT"], "--symbol: DOGEUSDT is not accepted; accepted: BTCUSDT, ETHUSDT"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "--to: 2026-01-01T00:00:00.000Z is not accepted"),
        (["--from", "2098-01-02"], "--from: 2098-01-02T00:00:00.000Z is in the future; accepted: a time before"),
        (["--to", "2098-01-02"], "--to: 2098-01-02T00:00:00.000Z is in the future; accepted: a time up to"),
        (["--from", "2020-01-01", "--to", "2020-01-02"], "there are no stored rows in this range; accepted: a range"),
        (["--from", "noon"], "--from: 'noon' is not accepted"),
        (["--decimals", "double"], "--decimals: 'double' is not accepted; accepted: decimal, text"),
        (["--follow", "--unproven"], "--unproven: not accepted with --follow"),
    ],
)
def test_bad_input_is_named_with_what_is_accepted(feed: Feed, tmp_path: Path, more: list[str], named: str) -> None:
    answer = export(feed, tmp_path, *more)
    assert (answer.code, named in answer.err) == (2, True), answer.err
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_follower_exports_each_hour_once_it_is_proven_and_resumes_after_a_kill(
    feed: Feed, tmp_path: Path, hour: int
) -> None:
    arguments = [sys.executable, "-m", "cryptocdc_local.main", "export", "-f", str(feed.file), "--follow", "--json"]
    arguments += ["--out", str(tmp_path), "--stream", "latest_prices"]

    def files() -> int:
        return len(list(tmp_path.rglob("*.parquet")))

    follower = subprocess.Popen(arguments, env=feed.environment, stdout=subprocess.PIPE, text=True)
    try:
        wait_for("the proven hour's files", lambda: files() == 2)
        follower.kill()
        follower.wait(30)
        (tmp_path / ".export" / "left.tmp").touch()
        follower = subprocess.Popen(arguments, env=feed.environment, stdout=subprocess.PIPE, text=True)
        feed.insert("latest_prices", [hour + HOUR_MS])
        prove(feed)
        wait_for("the next hour's file", lambda: files() == 3)
        assert not (tmp_path / ".export" / "left.tmp").exists()
        follower.send_signal(signal.SIGINT)
        out, _ = follower.communicate(timeout=60)
        assert follower.returncode == 0
        assert json.loads(out.splitlines()[-1])["streams"]["latest_prices"]["files"] == 1
    finally:
        follower.kill()
        follower.wait(30)


def test_the_program_of_spec_export_follows_and_says_how_far_it_is(feed: Feed, tmp_path: Path, hour: int) -> None:
    out, port = tmp_path / "out", free_port()
    document = copy.deepcopy(feed.document)
    document["spec"]["export"] = {"uri": str(out), "streams": ["recentTrades"]}  # type: ignore[index]
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(document))
    environment = {
        **feed.environment, "CRYPTOCDC_FEED": str(file), "CRYPTOCDC_SOURCE": "simulated",
        "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": str(port),
    }  # fmt: skip

    def exported() -> float:
        try:
            text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        except requests.ConnectionError:
            return 0
        found = re.search(r'^cryptocdc_exporter_exported_through_timestamp_seconds.*recent_trades"} (.+)$', text, re.M)
        return float(found[1]) if found else 0

    program = subprocess.Popen([sys.executable, "-m", "cryptocdc_exporter.main"], env=environment)
    try:
        wait_for("the proven hour", lambda: exported() >= hour / 1000 + 3600)
        assert {path.relative_to(out).parts[0] for path in out.rglob("*.parquet")} == {"stream=recentTrades"}
        assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0
    finally:
        program.kill()
        program.wait(30)
