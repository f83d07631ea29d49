"""A bucket as the place of exported files, on moto's S3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

pq = pytest.importorskip("pyarrow.parquet")
MOTO = Path(sys.prefix) / "s3"
pytestmark = pytest.mark.skipif(not MOTO.exists(), reason="moto is not installed; `make .venv/.dev` installs it")

from pyarrow import fs  # noqa: E402
from tests.integration.waiting import wait_for  # noqa: E402
from tests.unit.exporter.world import HOUR, PATH, World, proof, trades  # noqa: E402

from cryptocdc_core.catalogue.streams import RECENT_TRADES  # noqa: E402
from cryptocdc_core.program.exits import BadInput  # noqa: E402
from cryptocdc_core.storage.windows import Window  # noqa: E402
from cryptocdc_exporter.bucket import Bucket  # noqa: E402
from cryptocdc_exporter.destination import refuse_others  # noqa: E402
from cryptocdc_exporter.places import open_destination  # noqa: E402
from cryptocdc_exporter.proven import HOUR_MS  # noqa: E402

URI = "s3://research/majors"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | {"PYTHONPATH": str(MOTO)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for("moto's S3", lambda: _answers(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(30)


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `research`, and the environment that a user sets for it."""
    for name, value in (
        ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1"),
        ("ENDPOINT_URL", endpoint), ("EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    made = fs.S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True, allow_bucket_deletion=True)
    made.create_dir("research")
    yield made
    made.delete_dir("research")


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/moto-api/", timeout=2).ok
    except requests.RequestException:
        return False


def names(store: Any) -> list[str]:
    found = store.get_file_info(fs.FileSelector("research", recursive=True))
    return sorted(one.path for one in found if one.type is fs.FileType.File)


class InBucket(World):
    def destination(self) -> Any:
        return open_destination(URI)


@pytest.fixture
def world(tmp_path: Path, store: Any) -> Iterator[InBucket]:
    made = InBucket(tmp_path)
    yield made
    made.background.shutdown()


@pytest.mark.parametrize(
    ("symbol", "folder"), [("BTCUSDT", "BTCUSDT"), ("币安人生USDT", "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT")]
)
def test_files_are_the_same_as_in_a_folder_and_present_ones_are_kept(
    world: InBucket, store: Any, symbol: str, folder: str
) -> None:
    rows = trades(symbol, 0)
    world.tables.put(RECENT_TRADES, rows)
    window = Window(HOUR, HOUR + HOUR_MS)
    assert world.export([proof(0, *rows)], window).counts.files == 1
    path = f"research/majors/{PATH.format(folder, '14')}"
    assert names(store) == [path]
    assert pq.read_table(path, filesystem=store, partitioning=None).column("trade_id").to_pylist() == list(range(120))
    again = world.export([proof(0, *rows)], window)
    assert (again.counts.files, again.counts.present) == (0, 1)


def test_the_file_of_a_symbol_whose_rows_were_deleted_is_removed(world: InBucket, store: Any) -> None:
    rows, others = trades("BTCUSDT", 0), trades("ETHUSDT", 0)
    later = trades("BTCUSDT", 1)
    window = Window(HOUR, HOUR + HOUR_MS)
    world.tables.put(RECENT_TRADES, [*rows, *others, *later])
    world.export([proof(0, *rows, *others)], window)
    world.tables.rows[RECENT_TRADES.table] = [*others, *later]
    world.export([proof(0, *others)], window)
    assert names(store) == [f"research/majors/{PATH.format('ETHUSDT', '14')}"]


def test_an_export_that_fails_uploads_nothing_of_its_hour(world: InBucket, store: Any) -> None:
    world.tables.put(RECENT_TRADES, trades("BTCUSDT", 0))
    world.request["unproven"] = True

    def fail() -> None:
        raise OSError(28, "No space left on device")

    world.after_page = fail
    with pytest.raises(OSError, match="No space left"):
        world.export([])
    assert names(store) == []


def test_a_bucket_with_files_of_another_feed_is_refused(world: InBucket) -> None:
    world.tables.put(RECENT_TRADES, trades("BTCUSDT", 0))
    world.request["unproven"] = True
    world.export([])
    bucket = Bucket(URI)
    refuse_others(bucket, [RECENT_TRADES], "majors", "simulated")
    with pytest.raises(BadInput, match="has files of the feed majors, simulated, such as stream=recentTrades"):
        refuse_others(bucket, [RECENT_TRADES], "majors", "exchange")
    bucket.close()


def test_a_bucket_that_does_not_exist_and_another_scheme_are_refused(store: Any) -> None:
    with pytest.raises(BadInput, match="--out: there is no bucket absent; accepted: s3://BUCKET/PATH"):
        open_destination("s3://absent/path")
    with pytest.raises(BadInput, match="--out: 'gs://absent' is not accepted; accepted: a folder, or s3://BUCKET/PATH"):
        open_destination("gs://absent")
