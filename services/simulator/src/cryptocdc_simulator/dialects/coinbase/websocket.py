"""The WebSocket feed: subscribe and unsubscribe by channels and products; replies list all subscriptions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakKeyDictionary

from starlette.websockets import WebSocket

from cryptocdc_simulator.dialects.coinbase.streams import CHANNELS, STATUS, named
from cryptocdc_simulator.dialects.port import Client, Idle, Reply, encode

Wanted = tuple[str, str]
"""A channel and a product; the channel `status` has no product."""

_NO_SUBSCRIPTION = Idle(5.0, 1008, "no subscribe message was received within 5 seconds")
_PROTECTED = ("level2", "level3", "full")
_CREDENTIALS = ("signature", "key", "passphrase", "timestamp")
_NEEDS_AUTHENTICATION = (
    "level2, level3, and full channels now require authentication. "
    "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth"
)


class Feed:
    """`products`: the listed ones, None if all are accepted."""

    messages_a_second = 100

    def __init__(self, products: Callable[[], Collection[str] | None]) -> None:
        self._products = products
        self._subscribed: WeakKeyDictionary[Client, dict[Wanted, None]] = WeakKeyDictionary()

    def begin(self, _: WebSocket, client: Client) -> list[str]:
        self._subscribed[client] = {}
        return []

    def idle(self, client: Client) -> Idle | None:
        return None if self._subscribed.get(client) else _NO_SUBSCRIPTION

    def replies(self, client: Client, text: str) -> list[Reply]:
        try:
            message = json.loads(text)
        except ValueError:
            return [_error("Malformed JSON")]
        if not isinstance(message, dict) or message.get("type") not in ("subscribe", "unsubscribe"):
            return [_error("Type has to be either subscribe or unsubscribe")]
        subscribed = self._subscribed.setdefault(client, {})
        if message["type"] == "unsubscribe":
            return [self._unsubscribe(client, message, subscribed)]
        try:
            wanted = [(name, product) for name, products in _channels(message) for product in _products(name, products)]
            self._check(message, wanted)
        except ValueError as reason:
            return [_error("Failed to subscribe", str(reason))]
        subscribed.update(dict.fromkeys(wanted))
        added = [stream for stream in map(_stream, wanted) if stream not in client.streams]
        return [Reply(_subscriptions(subscribed), added)]

    def _unsubscribe(self, client: Client, message: dict[str, Any], subscribed: dict[Wanted, None]) -> Reply:
        """Unsubscribe from products of channels, or from whole channels if no product is named."""
        try:
            named_channels = _channels(message)
        except ValueError as reason:
            return _error("Failed to unsubscribe", str(reason))
        for name, products in named_channels:
            for one in [it for it in subscribed if it[0] == name and (not products or it[1] in products)]:
                del subscribed[one]
        left = set(map(_stream, subscribed))
        client.unsubscribe([stream for stream in client.streams if stream not in left])
        return Reply(_subscriptions(subscribed))

    def _check(self, message: dict[str, Any], wanted: list[Wanted]) -> None:
        products = self._products()
        for channel, product in wanted:
            if channel in _PROTECTED and not all(message.get(name) for name in _CREDENTIALS):
                raise ValueError(_NEEDS_AUTHENTICATION)
            if channel not in CHANNELS:
                raise ValueError(f"{channel} is not a valid channel")
            if channel != STATUS and products is not None and product not in products:
                raise ValueError(f"{product} is not a valid product")


def _channels(message: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return channels with their products: names, for all `product_ids` of the message, or objects with their own
    products.

    Raises ValueError.
    """
    channels, everywhere = message.get("channels"), message.get("product_ids") or []
    if not isinstance(channels, list) or not channels:
        raise ValueError("No channels provided")
    found = []
    for channel in channels:
        entry = {"name": channel} if isinstance(channel, str) else channel
        name, products = (
            (entry.get("name"), entry.get("product_ids") or everywhere) if isinstance(entry, dict) else (None, [])
        )
        if not isinstance(name, str):
            raise ValueError(f"{channel} is not a valid channel")
        if not isinstance(products, list) or not all(isinstance(product, str) for product in products):
            raise ValueError(f"{products} is not a list of products")
        found.append((name, products))
    return found


def _products(channel: str, products: list[str]) -> list[str]:
    if channel == STATUS:
        return [""]
    if not products:
        raise ValueError("No product_ids provided")
    return products


def _stream(wanted: Wanted) -> str:
    return named(*wanted) if wanted[1] else STATUS


def _subscriptions(subscribed: dict[Wanted, None]) -> bytes:
    channels: dict[str, list[str]] = {}
    for channel, product in subscribed:
        channels.setdefault(channel, []).extend([product] if product else [])
    listed = [{"name": name, "product_ids": products, "account_ids": None} for name, products in channels.items()]
    return encode({"type": "subscriptions", "channels": listed})


def _error(message: str, reason: str | None = None) -> Reply:
    body = {"type": "error", "message": message}
    return Reply(encode(body if reason is None else {**body, "reason": reason}))
