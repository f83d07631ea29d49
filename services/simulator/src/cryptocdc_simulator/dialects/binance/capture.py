"""Captures of Binance: combined frames, exchangeInfo and depth snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptocdc_simulator.capture import Capture, Named
from cryptocdc_simulator.dialects.binance import errors
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.binance.rest import depth_weight
from cryptocdc_simulator.dialects.port import Answer, ready

WEIGHTS = {"exchangeInfo": 20, "aggTrades": 4, "klines": 2, "trades": 25, "historicalTrades": 25}
_COMBINED = re.compile(r'\{"stream":"([^"]+)","data":(.*)\}')


def named(frame: str) -> Named | None:
    match = _COMBINED.fullmatch(frame)
    return Named(match[1], match[2]) if match else None


class CaptureEndpoints:
    """The responses in a capture; missing trades and klines are empty lists, anything else missing is an error."""

    def __init__(
        self,
        capture: Capture,
        time: Callable[[], float],
        weights: Mapping[str, int] = WEIGHTS,
        depth_weight: Callable[[int], int] = depth_weight,
    ) -> None:
        """`weights`: by endpoint, 1 by default. Raises ValueError if there is no exchangeInfo."""
        self._time, self._weights, self._depth_weight = time, weights, depth_weight
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
            "aggTrades": partial(self._nothing, "aggTrades", ("fromId",)),
            "klines": partial(self._nothing, "klines", ("interval", "timeZone")),
            "trades": partial(self._nothing, "trades", ()),
            "historicalTrades": partial(self._nothing, "historicalTrades", ("fromId",)),
        }

    def _exchange_info(self, parameters: Parameters) -> Answer:
        names = parameters.one_or_many_symbols()
        if names is None:
            return Answer(self._weights.get("exchangeInfo", 1), partial(ready, self._exchange_info_body))
        for name in names:
            self._known(name)
        whole = json.loads(self._exchange_info_body)
        some = {**whole, "symbols": [self._symbols[name] for name in names]}
        return Answer(self._weights.get("exchangeInfo", 1), partial(ready, some))

    def _depth(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(100, 5000)
        self._known(symbol)
        recorded = self.depths.get(symbol)
        if recorded is None:
            raise errors.error(400, -1000, f"The capture holds no order book of {symbol}.")
        book = json.loads(recorded)
        cut: dict[str, Any] = {**book, "bids": book["bids"][:limit], "asks": book["asks"][:limit]}
        return Answer(self._depth_weight(limit), partial(ready, recorded if cut == book else cut))

    def _nothing(self, endpoint: str, others: tuple[str, ...], parameters: Parameters) -> Answer:
        self._known(parameters.required_symbol())
        for name in ("limit", "startTime", "endTime", *others):
            parameters.text(name)
        return Answer(self._weights.get(endpoint, 1), partial(ready, []))

    def _known(self, symbol: str) -> None:
        if symbol not in self._symbols:
            raise errors.invalid_symbol()
