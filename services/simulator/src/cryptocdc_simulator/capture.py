"""The replay of a recorded capture: what the exchange said then, in the bytes it used, some times as fast.

Format (that of the recorder of the project cryptofeed), one record a line:

    <url> -> <receive time>: <body>          an answer of the REST API
    <receive time>: <frame>                  a frame of a combined stream
    wss://… <-> <time>, configuration: …     the recorder's own lines, not replayed
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cryptocdc_simulator import errors
from cryptocdc_simulator.parameters import Parameters
from cryptocdc_simulator.rest import Answer, depth_weight
from cryptocdc_simulator.source import Outgoing

_ANSWER = re.compile(r"(https?://\S+) -> (\d+(?:\.\d+)?): (.*)")
_FRAME = re.compile(r'(\d+(?:\.\d+)?): (\{"stream":"([^"]+)","data":(.*)\})')


class Frame(NamedTuple):
    """`order`: its place in the capture; `time`: seconds since 1970 when it was received."""

    order: int
    time: float
    stream: str
    wrapped: bytes
    payload: bytes


@dataclass(frozen=True)
class Capture:
    """A recorded half-minute: frames in recorded order, depth snapshots by symbol, exchangeInfo."""

    frames: list[Frame]
    depths: dict[str, bytes]
    exchange_info: bytes

    @classmethod
    def read(cls, folder: Path) -> Capture:
        """All `*.capture` files of a folder. Raises ValueError, naming the line, for what is in no known format."""
        frames: list[tuple[float, str, str, str]] = []
        depths: dict[str, bytes] = {}
        exchange_info: bytes | None = None
        for file in sorted(folder.glob("*.capture")):
            for number, line in enumerate(file.read_text().splitlines(), start=1):
                if match := _ANSWER.fullmatch(line):
                    url = urlsplit(match[1])
                    if url.path.endswith("/depth"):
                        depths[parse_qs(url.query)["symbol"][0]] = match[3].encode()
                    elif url.path.endswith("/exchangeInfo"):
                        exchange_info = match[3].encode()
                elif match := _FRAME.fullmatch(line):
                    frames.append((float(match[1]), match[3], match[2], match[4]))
                elif line and not line.startswith(("wss://", "ws://", "configuration:")):
                    raise ValueError(f"{file}:{number}: neither an answer nor a frame: {line[:80]}")
        if exchange_info is None or not frames:
            raise ValueError(f"{folder}: a capture needs an answer of /exchangeInfo and at least one frame")
        frames.sort(key=lambda frame: frame[0])
        return cls(
            [Frame(i, time, name, whole.encode(), data.encode()) for i, (time, name, whole, data) in enumerate(frames)],
            depths,
            exchange_info,
        )

    @cached_property
    def symbols(self) -> dict[str, Any]:
        """exchangeInfo's entries by symbol."""
        return {entry["symbol"]: entry for entry in json.loads(self.exchange_info)["symbols"]}


class CaptureStreams:
    """Each stream has its own cursor: it starts with its first subscriber, at recorded pace times `speed`, waits while
    no one is subscribed, and gives every frame once.
    """

    def __init__(self, capture: Capture, speed: float, monotonic: Callable[[], float]) -> None:
        self._speed, self._monotonic = speed, monotonic
        self._begin, self._end = capture.frames[0].time, capture.frames[-1].time
        self._frames: dict[str, list[Frame]] = {}
        for frame in capture.frames:
            self._frames.setdefault(frame.stream, []).append(frame)
        self._total, self._sent = len(capture.frames), 0
        self._cursor: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._open: set[str] = set()

    async def prepare(self, stream: str) -> None:
        """Nothing to compute."""

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

    def time(self) -> float:
        """Seconds since 1970 on the recorded clock: it runs from the first subscription to the last frame."""
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


class CaptureApi:
    """The answers that a capture holds; trades and klines that it does not hold are none, all else is an error."""

    def __init__(self, capture: Capture, time: Callable[[], float]) -> None:
        self._capture, self._time = capture, time
        self.endpoints: dict[str, Callable[[Parameters], Answer]] = {
            "ping": lambda _: Answer(1, partial(_body, {})),
            "time": lambda _: Answer(1, partial(_body, {"serverTime": int(self._time() * 1000)})),
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "aggTrades": partial(self._nothing, 4, ("fromId",)),
            "klines": partial(self._nothing, 2, ("interval", "timeZone")),
            "trades": partial(self._nothing, 25, ()),
            "historicalTrades": partial(self._nothing, 25, ("fromId",)),
        }

    def _exchange_info(self, parameters: Parameters) -> Answer:
        names = parameters.one_or_many_symbols()
        if names is None:
            return Answer(20, partial(_body, self._capture.exchange_info))
        for name in names:
            self._known(name)
        whole = json.loads(self._capture.exchange_info)
        return Answer(20, partial(_body, {**whole, "symbols": [self._capture.symbols[name] for name in names]}))

    def _depth(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(100, 5000)
        self._known(symbol)
        recorded = self._capture.depths.get(symbol)
        if recorded is None:
            raise errors.ApiError(400, -1000, f"The capture holds no order book of {symbol}.")
        book = json.loads(recorded)
        cut = {**book, "bids": book["bids"][:limit], "asks": book["asks"][:limit]}
        return Answer(depth_weight(limit), partial(_body, recorded if cut == book else cut))

    def _nothing(self, weight: int, others: tuple[str, ...], parameters: Parameters) -> Answer:
        self._known(parameters.required_symbol())
        for name in ("limit", "startTime", "endTime", *others):
            parameters.text(name)
        return Answer(weight, partial(_body, []))

    def _known(self, symbol: str) -> None:
        if symbol not in self._capture.symbols:
            raise errors.invalid_symbol()


async def _body(body: Any) -> Any:
    return body
