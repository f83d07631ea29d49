"""Files of an exchange's archive made by hand, as the exchange documents them, and a server of them on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from cryptocdc_exchanges.port import Archive, File, Period, Series
from cryptocdc_exchanges.registry import VENUES

DAY = 86_400_000
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


def archive_of(venue: str) -> Archive:
    archive = VENUES[venue].archive
    assert archive is not None
    return archive


def file_of(series: Series, start_ms: int, period: Period = Period.DAY, venue: str = "binance") -> File:
    """The file of the period that starts then."""
    file = archive_of(venue).file(series, period, start_ms)
    assert file is not None
    return file


def spot_trades(start_ms: int, first_id: int, count: int, step_ms: int = 1000) -> list[str]:
    """Aggregate trades of the spot market, in microseconds."""
    return [
        f"{first_id + at},{95_000 + at % 7}.1{at % 10}000000,0.00{at % 1000:03d}000,{2 * (first_id + at)},"
        f"{2 * (first_id + at) + 1},{(start_ms + at * step_ms) * 1000 + 7},{'True' if at % 3 else 'False'},True"
        for at in range(count)
    ]


def spot_klines(start_ms: int, count: int, length_ms: int = 60_000) -> list[str]:
    """Candles of the spot market, in microseconds."""
    return [
        f"{(start_ms + at * length_ms) * 1000},95000.10000000,95001.00000000,94999.50000000,95000.{at % 100:02d}000000,"
        f"1.50000000,{(start_ms + (at + 1) * length_ms) * 1000 - 1},142500.00000000,{at},0.50000000,47500.00000000,0"
        for at in range(count)
    ]


def zipped(lines: list[str], name: str = "file.csv") -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join(f"{line}\n" for line in lines))
    return body.getvalue()


@dataclass
class ArchiveServer:
    """Serves `files` by path, and a checksum beside each unless there is another one in `files`. `cut`: responses to
    these paths end in the middle, once each. `busy`: these answer 503, so many times each."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path as it was sent and range of each request."""

    def put(self, path: str, lines: list[str]) -> bytes:
        self.files[path] = zipped(lines)
        return self.files[path]

    def body(self, path: str) -> bytes | None:
        if path in self.files:
            return self.files[path]
        zip_file = self.files.get(path.removesuffix(".CHECKSUM"))
        if zip_file is None:
            return None
        return f"{hashlib.sha256(zip_file).hexdigest()}  {path.rpartition('/')[2]}\n".encode()


@contextlib.contextmanager
def serving() -> Iterator[ArchiveServer]:
    """A server on loopback."""
    served = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(send=False)

        def do_GET(self) -> None:
            self._answer(send=True)

        def _answer(self, send: bool) -> None:
            wanted = self.headers.get("Range")
            path = unquote(self.path)
            served.asked.append((self.command, self.path, wanted))
            if served.busy.get(path, 0) > 0:
                served.busy[path] -= 1
                self.send_error(503)
                return
            body = served.body(path)
            if body is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            part = body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if send and path in served.cut:
                served.cut.discard(path)
                part = part[: len(part) // 2]
                self.close_connection = True
            if send:
                self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
