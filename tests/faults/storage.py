"""Disks that are full or read-only, and a Cassandra that can't keep up."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra import sessions as cassandra
from tests.faults.cell import Cell
from tests.faults.fault import Fault, Outcome
from tests.faults.observer import LAGGING, LATE
from tests.integration.waiting import wait_for

ROOM = 768 * 2**20
"""Free bytes of a server's disk of its own before it is filled."""
FILLER = "filler"
LEFT = 64 * 2**10
OVERHEAD = 256 * 2**20
"""What ext4 needs for its journal and tables, generously."""

FELT = f"consumer_paused|consumer_retries|write_stalled|{LAGGING}|{LATE}"
"""What a consumer shows whose writes take too long."""

Mount = Callable[[Path, int], None]
"""Mounts a file system with so many bytes at a folder."""


def own_disk(name: str, cell: Cell, mount: Mount) -> Path:
    """Move a server's data to a file system of its own until the cell ends, and return its folder."""
    data = cell.platform.server(name).data
    with cell.platform.unsupervised():
        _stop(name, cell)
        kept = data.with_name(f"{name}.kept")
        data.rename(kept)
        used = sum(file.stat().st_size for file in kept.rglob("*") if file.is_file())
        cell.platform.account.make_folder(data)
        mount(data, used + ROOM)
        cell.platform.account.own(data)
        _run("cp", "-a", f"{kept}/.", f"{data}/")
        shutil.rmtree(kept)
        cell.at_end(partial(_back, name, cell))
    cell.platform.start()
    return data


def _back(name: str, cell: Cell) -> None:
    data = cell.platform.server(name).data
    with cell.platform.unsupervised():
        with contextlib.suppress(OSError):  # it may be gone, or the disk read-only
            (data / FILLER).unlink()
        _stop(name, cell)
        kept = data.with_name(f"{name}.kept")
        _run("cp", "-a", str(data), str(kept))
        shutil.rmtree(kept / "lost+found", ignore_errors=True)
        _unmount(data)
        data.rmdir()
        kept.rename(data)
        image_of(data).unlink(missing_ok=True)


def in_memory(data: Path, size: int) -> None:
    """Mount a file system that can be full."""
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", f"cryptocdc-{data.name}", str(data))


def in_image(data: Path, size: int) -> None:
    """Mount a file system that turns read-only at an error, while files are open, as most disks of machines do."""
    with image_of(data).open("wb") as image:
        image.truncate(size + OVERHEAD)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image_of(data)))
    _mount_image(data)


def _mount_image(data: Path) -> None:
    _run("mount", "-o", "loop,errors=remount-ro", str(image_of(data)), str(data))


def image_of(data: Path) -> Path:
    return data.with_name(f"{data.name}.image")


def _fail(data: Path) -> None:
    """Have the kernel find an error in the file system of an image."""
    device = subprocess.run(
        ["findmnt", "-n", "-o", "SOURCE", str(data)], capture_output=True, text=True, check=True
    ).stdout.strip()
    (Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error").write_text("error on request", encoding="ascii")
    assert _is_read_only(data), f"{data} is still writable"


def _is_read_only(folder: Path) -> bool:
    try:
        (folder / FILLER).touch()
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def _repair(data: Path) -> None:
    """Check and mount the file system again, as after the repair of a disk. Nothing may be open in it."""
    _unmount(data)
    checked = subprocess.run(["e2fsck", "-f", "-y", str(image_of(data))], capture_output=True, text=True, check=False)
    assert checked.returncode <= 1, checked.stdout  # 1: errors were corrected
    _mount_image(data)


def _unmount(data: Path) -> None:
    """Unmount once nothing is open any more: on a busy machine a server that was stopped needs a moment to be gone."""

    def unmounted() -> bool:
        return subprocess.run(["umount", str(data)], capture_output=True, check=False).returncode == 0

    wait_for(f"{data} unmounted", unmounted, 60)


def _stop(name: str, cell: Cell) -> None:
    server = cell.platform.server(name)
    cell.platform.process(name).stop(server.stop_signal, server.stop_limit)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"


def fill_disk(name: str, cell: Cell) -> None:
    """All at once, faster than anybody could look: the server meets a full disk in the middle of a write."""
    data = own_disk(name, cell, in_memory)
    cell.wait("rows after the move", partial(_written_since, cell, cell.written()), 120)
    cell.note(filled_mb=_fill(data / FILLER) // 2**20)
    cell.hold(30)


def _fill(filler: Path) -> int:
    """Let a file take all of its file system but LEFT, and return its size in bytes."""
    with filler.open("wb") as file:
        while True:
            size = shutil.disk_usage(filler.parent).free - LEFT
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno != errno.ENOSPC:  # the server has written since, and nothing was allocated
                    raise
            else:
                return size


def _written_since(cell: Cell, rows: int) -> bool:
    return cell.written() > rows + 100


def free_disk(name: str, cell: Cell) -> None:
    """Space is freed and the run started again, as it advised when it halted."""
    cell.stop()
    cell.platform.stop()
    (cell.platform.server(name).data / FILLER).unlink()
    cell.start()


def read_only(cell: Cell) -> None:
    """The disk turns read-only while Cassandra writes, which dies of it and can't start until it is writable again."""
    seconds = round(cell.random.uniform(15, 25), 1)
    cell.note(seconds=seconds)
    data = own_disk("cassandra", cell, in_image)
    cell.wait("rows after the move", partial(_written_since, cell, cell.written()), 120)
    pid = cell.platform.pids()["cassandra"]
    _fail(data)
    cell.wait("Cassandra to die of it", lambda: cell.platform.pids().get("cassandra") != pid, 60)
    cell.hold(seconds)
    with cell.platform.unsupervised():
        cell.platform.kill("cassandra")  # if it was just being started again
        _repair(data)
    cell.wait("Cassandra again", cell.platform.is_running, 240)


def overloaded(cell: Cell) -> None:
    """Somebody else writes as fast as they can, at least until the consumer feels it."""
    seconds, threads = round(cell.random.uniform(15, 25), 1), 16
    cell.note(seconds=seconds, threads=threads)
    with _flood(cell, threads) as sent:
        cell.hold(seconds)
        cell.wait("the consumer to feel it", lambda: cell.observer.matching(FELT), 60)
    cell.note(megabytes=sent[0])


@contextlib.contextmanager
def _flood(cell: Cell, threads: int) -> Iterator[list[int]]:
    """Write from so many threads, each eight megabytes at a time, together more than Cassandra takes at once of one
    address, and yield the number of megabytes written."""
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
        "disk-read-only-cassandra", "Cassandra's disk turns read-only while it writes, and is repaired", read_only,
        sign="cassandra: .*Read-only file system|acknowledged nothing", recovers_s=300, needs_root=True,
    ),
    Fault(
        "cassandra-overloaded", "somebody else writes to Cassandra as fast as it can", overloaded,
        sign=FELT,
    ),
    Fault(
        "cassandra-timing-out", "writes to Cassandra time out", timing_out, sign="acknowledged nothing|write_stalled",
        recovers_s=180,
    ),
)  # fmt: skip
