"""Files of an archive: one loaded into Kafka while no consumer runs, written by the consumer and then compared with
Cassandra; another one loaded while the consumer writes it."""

from __future__ import annotations

import hashlib
import resource
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.pipeline.consumers import Ours
from bench.pipeline.pipelines import SYMBOLS, Pipeline, wait_until
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.storage.ddl import DAY_MS
from cryptocdc_exchanges.port import Archive, File, Period, Series
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.archive.load import Item, Loading
from cryptocdc_producer.archive.sending import Sender
from cryptocdc_verifier.archived import prove, wait_for_consumers
from cryptocdc_verifier.comparing.cassandra import CassandraSide
from cryptocdc_verifier.target import Target

ROWS = 1_000_000
SERIES = Series("recent_trades", SYMBOLS[0], "aggregate")
DAYS_AGO = 10


@dataclass(frozen=True)
class Measured:
    loaded_per_s: float
    """Rows checked, sent, and acknowledged by Kafka, while no consumer runs."""
    written_per_s: float
    """Rows checked, sent, and acknowledged by Cassandra, while the consumer runs, as in `cryptocdc history load`."""
    compared_per_s: float
    grown_mib: float
    """By how much this process's memory has grown at most."""


class _Host:
    """An archive on disk."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def small(self, _: str) -> bytes:
        return self._digest().encode()

    def download(self, _path: str, to: Path, _took: Callable[[int], None]) -> str:
        shutil.copyfile(self._file, to)
        return self._digest()

    def _digest(self) -> str:
        with self._file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class _Records:
    def save(self, files: Sequence[HistoryFile]) -> None:
        pass

    def claim(self, _: HistoryFile) -> list[int]:
        return []


def history(pipeline: Pipeline, folder: Path) -> Measured:
    """Load a file of ROWS trades, let the consumer write them, and compare; then load another one while it writes."""
    servers, plan = pipeline.servers, pipeline.plan
    target = Target(plan.feed, "simulated", servers.postgres, servers.kafka, servers.cassandra, servers.connect)
    cassandra = CassandraSide(servers.cassandra, plan.names, plan.streams)
    idle, busy = (_made(folder, days_ago) for days_ago in (DAYS_AGO, DAYS_AGO + 1))
    before, began = _peak_mib(), time.monotonic()
    try:
        path = idle.load(pipeline, folder, group_reads=False)
        loaded_s = time.monotonic() - began
        with Ours(pipeline):
            wait_for_consumers(target, [SERIES.table])
        began = time.monotonic()
        outcome = prove(target, cassandra, _archive().format(SERIES), idle.item.record, path)
        compared_s = time.monotonic() - began
        with Ours(pipeline) as consumer:
            wait_until("partitions", consumer.assigned)
            began = time.monotonic()
            busy.load(pipeline, folder, group_reads=True)
            wait_for_consumers(target, [SERIES.table])
            written_s = time.monotonic() - began
    finally:
        cassandra.close()
    assert outcome.proven, outcome.reason
    assert outcome.rows == ROWS
    return Measured(ROWS / loaded_s, ROWS / written_s, ROWS / compared_s, _peak_mib() - before)


@dataclass(frozen=True)
class _Made:
    """A file of ROWS trades in an archive on disk."""

    item: Item
    host: _Host

    def load(self, pipeline: Pipeline, folder: Path, *, group_reads: bool) -> Path:
        """Send its rows, and return where it was downloaded to."""
        sender = Sender(pipeline.servers.kafka, pipeline.plan.names, group_reads)
        try:
            loading = Loading(_archive(), self.host, _Records(), sender.send, folder / "downloads")
            ((_, path),) = loading.run([self.item])
            return path
        finally:
            sender.close()


def _archive() -> Archive:
    archive = VENUES["simulated"].archive
    assert archive is not None
    return archive


def _made(folder: Path, days_ago: int) -> _Made:
    start = (int(time.time() * 1000) // DAY_MS - days_ago) * DAY_MS
    file = _archive().file(SERIES, Period.DAY, start)
    assert file is not None
    host = _Host(_written(folder / f"archive-{days_ago}.zip", file))
    return _Made(Item(file, HistoryFile(file.path, *SERIES, file.start_ms, file.end_ms)), host)


def _written(path: Path, file: File) -> Path:
    step_us = DAY_MS * 1000 // ROWS
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("trades.csv", "w") as member:
        for at in range(ROWS):
            number, last = 3_000_000_000 + at, 5_000_000_000 + at
            price, quantity = f"{95_000 + at % 977}.{at % 100:02d}000000", f"0.0{at % 9973:04d}000"
            time_us, maker = file.start_ms * 1000 + at * step_us, "True" if at % 3 else "False"
            line = f"{number},{price},{quantity},{last},{last},{time_us},{maker},True\n"
            member.write(line.encode())
    return path


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
