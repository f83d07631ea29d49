"""The replay of a recorded capture: the exchange's original bytes, at a multiple of the recorded speed.

The format is that of the recorder of the project cryptofeed, one record per line:

    <url> -> <receive time>: <body>          a response of the REST API
    <receive time>: <frame>                  a frame of a WebSocket connection
    wss://… <-> <time>, configuration: …     the recorder's own lines, not replayed
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptocdc_simulator.dialects.port import Outgoing

_ANSWER = re.compile(r"(https?://\S+) -> (\d+(?:\.\d+)?): (.*)")
_FRAME = re.compile(r"(\d+(?:\.\d+)?): (\{.*\})")


class Recorded(NamedTuple):
    """A recorded frame. `time`: when it was received, in seconds since 1970; `where`: file and line."""

    time: float
    where: str
    text: str


class Named(NamedTuple):
    """A frame's stream and payload, as determined by the venue's dialect."""

    stream: str
    payload: str


class Frame(NamedTuple):
    """`order`: its index in the capture; `time`: as in `Recorded`."""

    order: int
    time: float
    stream: str
    wrapped: bytes
    payload: bytes


@dataclass(frozen=True)
class Capture:
    """A recording of a venue: frames in recorded order, and responses by URL."""

    folder: Path
    answers: dict[str, bytes]
    recorded: list[Recorded]

    @classmethod
    def read(cls, folder: Path) -> Capture:
        """Read all `*.capture` files of a folder. Raises ValueError, naming the line, for an unknown format."""
        answers: dict[str, bytes] = {}
        recorded: list[Recorded] = []
        for file in sorted(folder.glob("*.capture")):
            for number, line in enumerate(file.read_text().splitlines(), start=1):
                where = f"{file}:{number}"
                if match := _ANSWER.fullmatch(line):
                    answers[match[1]] = match[3].encode()
                elif match := _FRAME.fullmatch(line):
                    recorded.append(Recorded(float(match[1]), where, match[2]))
                elif line and not line.startswith(("wss://", "ws://", "configuration:")):
                    raise ValueError(f"{where}: neither a response nor a frame: {line[:80]}")
        return cls(folder, answers, sorted(recorded, key=lambda frame: frame.time))

    def has_answers_below(self, path: str) -> bool:
        return any(urlsplit(url).path.startswith(path) for url in self.answers)

    def frames(self, named: Callable[[str], Named | None]) -> list[Frame]:
        """Return the frames with the streams that `named` finds. Raises ValueError, naming the line, if it finds
        none."""
        frames = []
        for order, (time, where, text) in enumerate(self.recorded):
            name = named(text)
            if name is None:
                raise ValueError(f"{where}: neither a response nor a frame: {text[:80]}")
            frames.append(Frame(order, time, name.stream, text.encode(), name.payload.encode()))
        return frames


class CaptureStreams:
    """Each stream has its own cursor: it starts with the first subscriber, advances at `speed` times the recorded pace,
    waits while nobody is subscribed, and yields every frame once.
    """

    def __init__(self, recorded: list[Frame], speed: float, monotonic: Callable[[], float]) -> None:
        self._speed, self._monotonic = speed, monotonic
        self._begin, self._end = recorded[0].time, recorded[-1].time
        self._frames: dict[str, list[Frame]] = {}
        for frame in recorded:
            self._frames.setdefault(frame.stream, []).append(frame)
        self._total, self._sent = len(recorded), 0
        self._cursor: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._open: set[str] = set()

    async def prepare(self, stream: str) -> None:
        """Do nothing: there is nothing to compute."""

    def open(self, stream: str) -> None:
        if stream in self._frames:
            self._started.setdefault(stream, self._monotonic())
            self._cursor.setdefault(stream, 0)
            self._open.add(stream)

    def close(self, stream: str) -> None:
        self._open.discard(stream)

    def due(self) -> Iterator[Outgoing]:
        now = self._monotonic()
        ready: list[Frame] = []
        for stream in self._open:
            frames, at = self._frames[stream], self._cursor[stream]
            reached = self._begin + (now - self._started[stream]) * self._speed
            while at < len(frames) and frames[at].time <= reached:
                ready.append(frames[at])
                at += 1
            self._cursor[stream] = at
        self._sent += len(ready)
        for frame in sorted(ready):
            yield Outgoing(frame.stream, frame.payload, frame.wrapped)

    def welcome(self, _: str) -> Iterable[bytes]:
        """Return nothing: what new subscribers received is among the recorded frames."""
        return ()

    def symbol_of(self, _: str) -> str | None:
        """Return None: the markets of a capture are not delisted."""
        return None

    def time(self) -> float:
        """The recorded clock in seconds since 1970, which runs from the first subscription to the last frame."""
        if not self._started:
            return self._begin
        return min(self._end, self._begin + (self._monotonic() - min(self._started.values())) * self._speed)

    def progress(self) -> dict[str, Any]:
        """`finished`: every frame of every stream that anyone has subscribed to has been sent."""
        wanted = sum(len(self._frames[stream]) for stream in self._started)
        return {
            "frames_total": self._total,
            "frames_wanted": wanted,
            "frames_sent": self._sent,
            "finished": bool(self._started) and self._sent == wanted,
        }
