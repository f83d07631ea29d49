"""A broker that has just started: it answers NOT_COORDINATOR to the first requests for a group's committed offsets.

As much of Kafka's protocol as that needs (https://kafka.apache.org/protocol), in the versions without tagged fields.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

METADATA, OFFSET_FETCH, FIND_COORDINATOR, API_VERSIONS = 3, 9, 10, 18
VERSIONS = {
    METADATA: (0, 1), 8: (1, 2), OFFSET_FETCH: (1, 5), FIND_COORDINATOR: (0, 1), 11: (0, 0), 12: (0, 0), 13: (0, 0),
    14: (0, 0), API_VERSIONS: (0, 3),
}  # fmt: skip
"""By API the least and the greatest version."""
NOT_COORDINATOR = 16
NODE = 1


class YoungBroker:
    """It has one topic with one partition; no group has committed offsets. `asked` counts OffsetFetch."""

    def __init__(self, topic: str, refusals: int) -> None:
        self.asked = 0
        self._topic, self._refusals = topic, refusals
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        answers: dict[int, Callable[[int], bytes]] = {
            API_VERSIONS: self._versions, METADATA: self._metadata, FIND_COORDINATOR: self._coordinator,
            OFFSET_FETCH: self._offsets,
        }  # fmt: skip
        with client, client.makefile("rb") as stream:
            while size := stream.read(4):
                request = stream.read(struct.unpack(">i", size)[0])
                api, version, correlation = struct.unpack_from(">hhi", request)
                answer = struct.pack(">i", correlation) + answers[api](version)
                client.sendall(struct.pack(">i", len(answer)) + answer)

    def _versions(self, version: int) -> bytes:
        if version < 3:
            body = b"".join(struct.pack(">hhh", api, *span) for api, span in VERSIONS.items())
            return struct.pack(">hi", 0, len(VERSIONS)) + body + (struct.pack(">i", 0) if version else b"")
        body = b"".join(struct.pack(">hhhB", api, *span, 0) for api, span in VERSIONS.items())
        return struct.pack(">hB", 0, len(VERSIONS) + 1) + body + struct.pack(">iB", 0, 0)

    def _metadata(self, version: int) -> bytes:
        broker = struct.pack(">ii", 1, NODE) + _string("127.0.0.1") + struct.pack(">i", self.port)
        partition = struct.pack(">hiiiiii", 0, 0, NODE, 1, NODE, 1, NODE)
        if version:
            broker += struct.pack(">hi", -1, NODE)
        topic = struct.pack(">ih", 1, 0) + _string(self._topic) + (b"\0" if version else b"")
        return broker + topic + struct.pack(">i", 1) + partition

    def _coordinator(self, version: int) -> bytes:
        before = struct.pack(">ihh", 0, 0, -1) if version else struct.pack(">h", 0)
        return before + struct.pack(">i", NODE) + _string("127.0.0.1") + struct.pack(">i", self.port)

    def _offsets(self, version: int) -> bytes:
        self.asked += 1
        refused = self.asked <= self._refusals
        error = NOT_COORDINATOR if refused else 0
        epoch = struct.pack(">i", -1) if version >= 5 else b""
        partition = struct.pack(">iq", 0, -1) + epoch + _string("") + struct.pack(">h", error if version < 2 else 0)
        topics = struct.pack(">i", 0)
        if not refused or version < 2:
            topics = struct.pack(">i", 1) + _string(self._topic) + struct.pack(">i", 1) + partition
        return (
            (struct.pack(">i", 0) if version >= 3 else b"")
            + topics
            + (struct.pack(">h", error) if version >= 2 else b"")
        )

    def close(self) -> None:
        self._listening.close()


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
