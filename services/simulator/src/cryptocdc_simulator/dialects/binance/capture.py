"""What a capture of Binance holds: combined frames, exchangeInfo and depth snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptocdc_simulator.capture import Capture, Named
from cryptocdc_simulator.dialects.binance import errors
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.binance.rest import depth_weight
from cryptocdc_simulator.dialects.port import Answer, ready

_COMBINED = re.compile(r'\{"stream":"([^"]+)","data":(.*)\}')


def named(frame: str) -> Named | None:
    match = _COMBINED.fullmatch(frame)
    return Named(match[1], match[2]) if match else None


class CaptureEndpoints:
    """The answers that a capture holds; trades and klines that it does not hold are none, all else is an error."""

    def __init__(self, capture: Capture, time: Callable[[], float]) -> None:
        """Raises ValueError without an exchangeInfo."""
        self._time = time
        self.depths: dict[str, bytes] = {}
        exchange_info: bytes | None = None
        for address, body in capture.answers.items():
            url = urlsplit(address)
            if url.path.endswith("/depth"):
                self.depths[parse_qs(url.query)["symbol"][0]] = body
            elif url.path.endswith("/exchangeInfo"):
                exchange_info = body
        if exchange_info is None:
            raise ValueError(f"{capture.folder}: a capture needs an answer of /exchangeInfo and at least one frame")
        self._exchange_info_body = exchange_info
        self._symbols = {entry["symbol"]: entry for entry in json.loads(exchange_info)["symbols"]}
        self.by_name: dict[str, Callable[[Parameters], Answer]] = {
            "ping": lambda _: Answer(1, partial(ready, {})),
            "time": lambda _: Answer(1, partial(ready, {"serverTime": int(self._time() * 1000)})),
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
            return Answer(20, partial(ready, self._exchange_info_body))
        for name in names:
            self._known(name)
        whole = json.loads(self._exchange_info_body)
        return Answer(20, partial(ready, {**whole, "symbols": [self._symbols[name] for name in names]}))

    def _depth(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(100, 5000)
        self._known(symbol)
        recorded = self.depths.get(symbol)
        if recorded is None:
            raise errors.error(400, -1000, f"The capture holds no order book of {symbol}.")
        book = json.loads(recorded)
        cut: dict[str, Any] = {**book, "bids": book["bids"][:limit], "asks": book["asks"][:limit]}
        return Answer(depth_weight(limit), partial(ready, recorded if cut == book else cut))

    def _nothing(self, weight: int, others: tuple[str, ...], parameters: Parameters) -> Answer:
        self._known(parameters.required_symbol())
        for name in ("limit", "startTime", "endTime", *others):
            parameters.text(name)
        return Answer(weight, partial(ready, []))

    def _known(self, symbol: str) -> None:
        if symbol not in self._symbols:
            raise errors.invalid_symbol()
