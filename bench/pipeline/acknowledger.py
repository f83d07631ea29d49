"""A proxy to Cassandra that acknowledges batches itself and forwards everything else: `HOST PORT`.

Through it a consumer writes at the rate it would have if Cassandra took no time. Prints its own port. It speaks the
native protocol 5: whole messages during the handshake, then segments (sections 1 and 2 of its specification).
"""

from __future__ import annotations

import io
import socket
import socketserver
import sys
import threading
from typing import BinaryIO

from cassandra.segment import SegmentCodec

STARTUP, READY, AUTHENTICATE, RESULT, BATCH = 0x01, 0x02, 0x03, 0x08, 0x0D
HEADER = 9
VOID = (1).to_bytes(4, "big")


class Closed(Exception):
    """The other side has closed the connection."""


def _read(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise Closed
    return found


def _message(stream: BinaryIO) -> bytes:
    header = _read(stream, HEADER)
    return header + _read(stream, _length(header))


def _length(header: bytes) -> int:
    """The length of the body that follows."""
    return int.from_bytes(header[5:HEADER], "big")


def _segments(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Return the segments of the next message as they are, and the message."""
    raw, payload = b"", b""
    while not payload or len(payload) < HEADER + _length(payload):
        head = _read(stream, 6)
        size = int.from_bytes(head[:3], "little") & 0x1FFFF
        rest = _read(stream, size + 4)
        raw += head + rest
        payload += rest[:size]
    return raw, payload


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 1 << 20

    def handle(self) -> None:
        self._codec, self._writing = SegmentCodec(), threading.Lock()
        with socket.create_connection(self.server.cassandra) as server:  # type: ignore[attr-defined]
            threading.Thread(target=self._back, args=(server.makefile("rb"),), daemon=True).start()
            try:
                self._forth(server)
            except (Closed, OSError):
                pass
            finally:
                server.shutdown(socket.SHUT_RDWR)

    def _forth(self, server: socket.socket) -> None:
        client: BinaryIO = self.rfile  # type: ignore[assignment]
        opcode = 0
        while opcode != STARTUP:
            message = _message(client)
            opcode = message[4]
            server.sendall(message)
        while True:
            raw, message = _segments(client)
            if message[4] == BATCH:
                self._acknowledge(message[2:4])
            else:
                server.sendall(raw)

    def _acknowledge(self, stream_id: bytes) -> None:
        answer = io.BytesIO()
        self._codec.encode(answer, b"\x85\0" + stream_id + bytes([RESULT]) + len(VOID).to_bytes(4, "big") + VOID)
        self._send(answer.getvalue())

    def _back(self, server: BinaryIO) -> None:
        opcode = 0
        try:
            while opcode not in (READY, AUTHENTICATE):
                message = _message(server)
                opcode = message[4]
                self._send(message)
            while True:
                self._send(_segments(server)[0])
        except (Closed, OSError, ValueError):
            self.connection.close()

    def _send(self, data: bytes) -> None:
        with self._writing:
            self.connection.sendall(data)


class Acknowledger(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, cassandra: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.cassandra = cassandra


if __name__ == "__main__":
    with Acknowledger((sys.argv[1], int(sys.argv[2]))) as acknowledger:
        print(acknowledger.server_address[1], flush=True)
        acknowledger.serve_forever()
