"""What a capture of OKX holds: frames of the public channels, and the list of instruments."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptocdc_simulator.capture import Capture, Frame, Named
from cryptocdc_simulator.dialects.okx.rest import Query, Rows, error, required
from cryptocdc_simulator.dialects.okx.streams import named

PATH = "/api/v5/"


def frames_of(capture: Capture) -> list[Frame]:
    return capture.frames(_named)


def _named(frame: str) -> Named | None:
    arg = json.loads(frame).get("arg")
    return None if arg is None else Named(named(arg), frame)


class CaptureEndpoints:
    """The instruments that a capture holds; of what is polled or refilled it has nothing."""

    def __init__(self, capture: Capture, time: Callable[[], float]) -> None:
        self._instruments: list[dict[str, Any]] = []
        for address, body in capture.answers.items():
            if urlsplit(address).path == PATH + "public/instruments":
                self._instruments += json.loads(body)["data"]
        self._time = time
        self.by_name: Mapping[str, Rows] = {
            "public/time": lambda _: _ready([{"ts": str(int(self._time() * 1000))}]),
            "public/instruments": self._listed,
            **dict.fromkeys(("market/trades", "market/history-trades"), self._nothing),
            **dict.fromkeys(("market/candles", "market/history-candles"), self._nothing),
        }

    def _listed(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        kind, wanted = required(query, "instType"), query.get("instId")
        return _ready([it for it in self._instruments if it["instType"] == kind and wanted in (None, it["instId"])])

    def _nothing(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        if required(query, "instId") not in {it["instId"] for it in self._instruments}:
            raise error(200, "51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return _ready([])


def _ready(rows: list[Any]) -> Callable[[], Awaitable[list[Any]]]:
    async def answered() -> list[Any]:
        return rows

    return answered
