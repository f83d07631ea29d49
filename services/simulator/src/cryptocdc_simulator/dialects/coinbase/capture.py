"""Captures of Coinbase Exchange: frames of its channels, and the list of products."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from cryptocdc_simulator.capture import Capture, CaptureStreams, Frame, Named
from cryptocdc_simulator.dialects.coinbase import payloads
from cryptocdc_simulator.dialects.coinbase.rest import Endpoint, Query, error, later
from cryptocdc_simulator.dialects.coinbase.streams import named
from cryptocdc_simulator.dialects.port import Answer

PATH = "/products"
_CHANNELS = {
    **dict.fromkeys(("match", "last_match"), "matches"),
    **dict.fromkeys(("snapshot", "l2update"), "level2"),
    **dict.fromkeys(("ticker", "heartbeat")),
}
"""The channel by type of frame; None if both have the same name."""


def frames_of(capture: Capture) -> list[Frame]:
    return capture.frames(_named)


def _named(frame: str) -> Named | None:
    event = json.loads(frame)
    kind = event.get("type")
    if kind not in _CHANNELS:
        return None
    return Named(named(_CHANNELS[kind] or kind, event["product_id"]), frame)


class CaptureEndpoints:
    """The products in a capture, which contains no trades or candles."""

    def __init__(self, capture: Capture, streams: CaptureStreams) -> None:
        self._streams = streams
        self._products: dict[str, dict[str, Any]] = {}
        for address, body in capture.answers.items():
            if urlsplit(address).path == PATH:
                self._products |= {product["id"]: product for product in json.loads(body)}
        self.by_name: dict[str, Endpoint] = {
            "time": self._time,
            "products": lambda _, __: later(lambda: list(self._products.values())),
            "product": lambda product, _: later(lambda: self._known(product)),
            "trades": self._nothing,
            "candles": self._nothing,
        }

    def _time(self, _: str, __: Query) -> Answer:
        seconds = self._streams.time()
        return later(lambda: {"iso": payloads.iso(round(seconds * 1000)), "epoch": seconds})

    def _known(self, product: str) -> dict[str, Any]:
        if product not in self._products:
            raise error(404, "NotFound")
        return self._products[product]

    def _nothing(self, product: str, _: Query) -> Answer:
        self._known(product)
        return later(list)
