"""The simulator's archive over HTTP: sizes, parts of files, and a download that breaks off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from .simulator import fault, running


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running("--symbols", "2", "--rate", "0.05") as port:
        yield port


@pytest.fixture(scope="module")
def file() -> str:
    yesterday = datetime.fromtimestamp(time.time(), UTC) - timedelta(days=1)
    return f"BTCUSDT-aggTrades-{yesterday:%Y-%m-%d}.zip"


@pytest.fixture(params=["data/spot", "binance-usdm/data/futures/um"])
def url(port: int, file: str, request: pytest.FixtureRequest) -> str:
    return f"http://127.0.0.1:{port}/{request.param}/daily/aggTrades/BTCUSDT/{file}"


def test_a_file_is_read_whole_and_in_parts(url: str, file: str) -> None:
    checksum = requests.get(url + ".CHECKSUM", timeout=60).text
    head = requests.head(url, timeout=60)
    whole = requests.get(url, timeout=60)
    assert (whole.status_code, whole.headers["X-Simulated"]) == (200, "market")
    assert int(head.headers["Content-Length"]) == len(whole.content)
    assert checksum == f"{hashlib.sha256(whole.content).hexdigest()}  {file}\n"
    half = len(whole.content) // 2
    rest = requests.get(url, headers={"Range": f"bytes={half}-", "If-Range": head.headers["ETag"]}, timeout=60)
    assert (rest.status_code, rest.content) == (206, whole.content[half:])


def test_a_download_breaks_off_once_and_continues(port: int, url: str, file: str) -> None:
    whole = requests.get(url, timeout=60).content
    fault(port, "archive", "/binance-usdm" if "um" in url else "", file=file, kind="cut")
    received = bytearray()

    def receive() -> None:
        with requests.get(url, stream=True, timeout=60) as answer:
            for part in answer.iter_content(4096):
                received.extend(part)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        receive()
    assert 0 < len(received) <= len(whole) // 2
    rest = requests.get(url, headers={"Range": f"bytes={len(received)}-"}, timeout=60)
    assert bytes(received) + rest.content == whole
