"""Disks that are full or read-only, and a Cassandra that can't keep up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra import sessions as cassandra
from tests.faults.cell import Cell
from tests.faults.fault import Fault, Outcome

ROOM = 768 * 2**20
"""Free bytes of a server's disk of its own before it is filled."""
FILLER = "filler"


def own_disk(name: str, cell: Cell) -> Path:
    """Move a server's data to a file system of its own in memory until the cell ends, and return its folder."""
    data = cell.platform.server(name).data
    with cell.platform.unsupervised():
        _stop(name, cell)
        kept = data.with_name(f"{name}.kept")
        data.rename(kept)
        used = sum(file.stat().st_size for file in kept.rglob("*") if file.is_file())
        cell.platform.account.make_folder(data)
        _run("mount", "-t", "tmpfs", "-o", f"size={used + ROOM},mode=700", f"cryptocdc-{name}", str(data))
        cell.platform.account.own(data)
        _run("cp", "-a", f"{kept}/.", f"{data}/")
        shutil.rmtree(kept)
        cell.at_end(partial(_back, name, cell))
    cell.platform.start()
    return data


def _back(name: str, cell: Cell) -> None:
    data = cell.platform.server(name).data
    with cell.platform.unsupervised():
        _run("mount", "-o", "remount,rw", str(data))
        (data / FILLER).unlink(missing_ok=True)
        _stop(name, cell)
        kept = data.with_name(f"{name}.kept")
        _run("cp", "-a", str(data), str(kept))
        _run("umount", str(data))
        data.rmdir()
        kept.rename(data)


def _stop(name: str, cell: Cell) -> None:
    server = cell.platform.server(name)
    cell.platform.process(name).stop(server.stop_signal, server.stop_limit)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"


def fill_disk(name: str, cell: Cell) -> None:
    """All at once, faster than anybody could look: the server meets a full disk in the middle of a write."""
    data = own_disk(name, cell)
    cell.wait("rows after the move", partial(_written_since, cell, cell.written()), 120)
    filler = data / FILLER
    free = shutil.disk_usage(data).free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - 64 * 2**10)
    cell.note(filled_mb=free // 2**20)
    cell.hold(30)


def _written_since(cell: Cell, rows: int) -> bool:
    return cell.written() > rows + 100


def free_disk(name: str, cell: Cell) -> None:
    """Space is freed and the run started again, as it advised when it halted."""
    cell.stop()
    cell.platform.stop()
    (cell.platform.server(name).data / FILLER).unlink()
    cell.start()


def read_only(cell: Cell) -> None:
    """The disk turns read-only under Cassandra, which dies of it and can't start until it is writable again."""
    seconds = round(cell.random.uniform(15, 25), 1)
    cell.note(seconds=seconds)
    data = own_disk("cassandra", cell)
    with cell.platform.unsupervised():
        cell.platform.kill("cassandra")
        # The kernel refuses to while files are open for writing.
        remount = ["mount", "-o", "remount,ro", str(data)]
        cell.wait("the disk read-only", lambda: subprocess.run(remount, capture_output=True).returncode == 0, 30)
    try:
        cell.hold(seconds)
    finally:
        _run("mount", "-o", "remount,rw", str(data))
    cell.wait("Cassandra again", cell.platform.is_running, 240)


def overloaded(cell: Cell) -> None:
    """Somebody else writes as fast as they can."""
    seconds, threads = round(cell.random.uniform(15, 25), 1), 4
    cell.note(seconds=seconds, threads=threads)
    with _flood(cell, threads) as sent:
        cell.hold(seconds)
    cell.note(megabytes=sent[0])
    assert sent[0] > 20, "the flood was a trickle"


@contextlib.contextmanager
def _flood(cell: Cell, threads: int) -> Iterator[list[int]]:
    cluster, session = cassandra.connect(cell.direct.cassandra)
    keyspace, sent, ending = f"{cell.it.plan.names.keyspace}_flood", [0], threading.Event()
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}", timeout=60)
    session.execute(f"CREATE TABLE {keyspace}.blobs (id int PRIMARY KEY, body blob)", timeout=60)
    statement, body = session.prepare(f"INSERT INTO {keyspace}.blobs (id, body) VALUES (?, ?)"), os.urandom(2**20)

    def write(number: int) -> None:
        while not ending.is_set():
            with contextlib.suppress(DriverException, NoHostAvailable):
                futures = [session.execute_async(statement, (number * 100 + at % 100, body)) for at in range(8)]
                for future in futures:
                    future.result()
                    sent[0] += 1

    writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(threads)]
    try:
        for writer in writers:
            writer.start()
        yield sent
    finally:
        ending.set()
        for writer in writers:
            writer.join(60)
        session.execute(f"DROP KEYSPACE {keyspace}", timeout=60)
        cluster.shutdown()


def timing_out(cell: Cell) -> None:
    """Each write takes longer than the consumer waits, for a while: Cassandra answers only now and then."""
    pid, times = cell.platform.pids()["cassandra"], cell.random.randint(2, 3)
    cell.note(times=times)
    for _ in range(times):
        os.kill(pid, signal.SIGSTOP)
        try:
            cell.hold(22)
        finally:
            os.kill(pid, signal.SIGCONT)
        cell.hold(cell.random.uniform(0.5, 2))


STORAGE = (
    *(
        Fault(
            f"disk-full-{name}", f"the disk of {called} is full, from one moment to the next", partial(fill_disk, name),
            Outcome.HALTS, sign="run halted", remedy=partial(free_disk, name), recovers_s=240, needs_root=True,
        )
        for name, called in (("postgres", "PostgreSQL"), ("kafka", "Kafka"), ("cassandra", "Cassandra"))
    ),
    Fault(
        "disk-read-only-cassandra", "Cassandra's disk is read-only for a while", read_only, sign="cassandra",
        recovers_s=240, needs_root=True,
    ),
    Fault("cassandra-overloaded", "somebody else writes to Cassandra as fast as it can", overloaded),
    Fault(
        "cassandra-timing-out", "writes to Cassandra time out", timing_out, sign="acknowledged nothing|write_stalled",
        recovers_s=180,
    ),
)  # fmt: skip
