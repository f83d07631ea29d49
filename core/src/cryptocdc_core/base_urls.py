"""Patterns of the base URLs of an exchange, to which the API's own paths are added."""

from __future__ import annotations

_LABEL = r"[^\s/?#:@.\[\]]{1,63}"
_HOST = rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])"
"""A host name that can be resolved, or an IPv6 address."""
_PORT = r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST_AND_PATH = rf"{_HOST}({_PORT})?(/[^\s?#]*)?$"
REST = rf"^https?://{_HOST_AND_PATH}"
WEBSOCKET = rf"^wss?://{_HOST_AND_PATH}"
"""Patterns that Kubernetes' API server accepts as well, so without lookahead."""
