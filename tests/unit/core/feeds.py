"""A minimal feed for tests."""

from __future__ import annotations

import copy
from typing import Any

from cryptocdc_core.feed.model import CryptoFeed, parse

MINIMAL: dict[str, Any] = {
    "apiVersion": "cryptocdc.io/v1alpha1",
    "kind": "CryptoFeed",
    "metadata": {"name": "majors"},
    "spec": {"symbols": {"names": ["BTCUSDT", "ETHUSDT"]}, "streams": {"klines": {}}},
}


def document(**spec: Any) -> dict[str, Any]:
    """Return MINIMAL with some of spec's fields replaced."""
    made = copy.deepcopy(MINIMAL)
    made["spec"] |= spec
    return made


def feed(name: str = "majors", **spec: Any) -> CryptoFeed:
    made = document(**spec)
    made["metadata"]["name"] = name
    return parse(made)
