"""Downloads from an archive: they go on where they ended, and faults that pass are retried."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archive_files import ArchiveServer, serving

from cryptocdc_adapters.exchange import archive_host
from cryptocdc_adapters.exchange.archive_host import ArchiveHost, ArchiveUnavailable, Stopped
from cryptocdc_core.program.backoff import Backoff

PATH = "/data/file.zip"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(archive_host, "BACKOFF", Backoff(0.0, 0.0))
    with serving() as served:
        yield served


def test_a_download_that_is_cut_off_goes_on_where_it_ended(server: ArchiveServer, tmp_path: Path) -> None:
    body = bytes(range(256)) * 4000
    server.files[PATH] = body
    server.cut.add(PATH)
    took: list[int] = []

    digest = ArchiveHost(server.url).download(PATH, tmp_path / "file.zip", took.append)

    assert digest == hashlib.sha256(body).hexdigest()
    assert (tmp_path / "file.zip").read_bytes() == body
    assert [asked for _, _, asked in server.asked] == [
        None,
        f"bytes={len(body) // 2 // archive_host.CHUNK * archive_host.CHUNK}-",
    ]
    assert sum(took) == len(body), "no byte is downloaded twice"


def test_a_download_that_an_earlier_process_began_goes_on(server: ArchiveServer, tmp_path: Path) -> None:
    server.files[PATH] = b"0123456789"
    (tmp_path / "file.zip.part").write_bytes(b"01234")

    ArchiveHost(server.url).download(PATH, tmp_path / "file.zip")

    assert (tmp_path / "file.zip").read_bytes() == b"0123456789"
    assert server.asked == [("GET", PATH, "bytes=5-")]


def test_a_file_that_is_there_is_not_downloaded_again(server: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "file.zip").write_bytes(b"0123456789")

    assert ArchiveHost(server.url).download(PATH, tmp_path / "file.zip") == hashlib.sha256(b"0123456789").hexdigest()
    assert server.asked == []


def test_a_busy_archive_is_asked_again(server: ArchiveServer) -> None:
    server.files[PATH] = b"0123456789"
    server.busy[PATH] = archive_host.ATTEMPTS - 1

    assert ArchiveHost(server.url).size(PATH) == 10


def test_an_archive_that_stays_busy_is_unavailable(server: ArchiveServer) -> None:
    server.busy[PATH] = archive_host.ATTEMPTS

    with pytest.raises(ArchiveUnavailable, match=f"{PATH}: HTTP status 503"):
        ArchiveHost(server.url).size(PATH)


def test_what_the_archive_does_not_have_is_no_fault(server: ArchiveServer, tmp_path: Path) -> None:
    host = ArchiveHost(server.url)

    assert host.size(PATH) is None
    assert host.small(PATH) is None
    assert host.download(PATH, tmp_path / "file.zip") is None
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_download_is_kept_to_go_on_later(server: ArchiveServer, tmp_path: Path) -> None:
    server.files[PATH] = bytes(archive_host.CHUNK * 3)
    stop = threading.Event()

    with pytest.raises(Stopped):
        ArchiveHost(server.url, stop).download(PATH, tmp_path / "file.zip", lambda _: stop.set())

    assert (tmp_path / "file.zip.part").stat().st_size == archive_host.CHUNK
