"""The contents of a venue's module in `material/`: documented frames and responses, and their expected results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple, get_args

import pytest

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.planning.resolve import MarketState
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.port import Answer, BookSnapshot, BookUpdate, Control, Offer, Refusal, Request, SlowDown, Venue
from cryptocdc_exchanges.registry import VENUES

from .simulated import dialect_name

NOW = 1_780_315_200_000


class Frame(NamedTuple):
    """A documented frame, and the row or update that it becomes when received at NOW."""

    raw: bytes
    becomes: Row | BookUpdate
    kind: str = ""
    """Of trades, if it is not `first_kind`."""
    before: Sequence[bytes] = ()
    """Frames without rows that have come before: those of other channels, to which this one is joined."""


class Body(NamedTuple):
    """A documented response body, and the result of its request's `read` at NOW."""

    request: Request[Any]
    raw: bytes
    becomes: Sequence[Row] | BookSnapshot


@dataclass(frozen=True)
class Recording:
    """Recorded frames, one per line, and the REST responses of that time."""

    frames: str
    answers: str
    symbols: tuple[str, ...]
    streams: dict[str, Any]


@dataclass(frozen=True)
class Material:
    frames: Sequence[Frame]
    controls: Sequence[tuple[bytes, Control]]
    odd: Sequence[tuple[bytes, str]]
    """Frames that are refused, and the reason."""
    bodies: Sequence[Body]
    verdicts: Sequence[tuple[Answer, SlowDown | Refusal | None]]
    states: tuple[bytes, dict[str, MarketState]]
    """The body of a listing, and the states of its markets."""
    recording: Recording | None = None
    documentation: Sequence[str] = field(default_factory=list)


def material(venue: Venue) -> Material:
    """Return a venue's material. One that has none can't be held to the contract."""
    module = f"{__package__}.material.{dialect_name(venue).replace('-', '_')}"
    found: Material = import_module(module).MATERIAL
    return found


every_venue = pytest.mark.parametrize("venue", VENUES.values(), ids=VENUES)


def streams_of(venue: Venue, *tables: str, kind: str = "") -> dict[str, Any]:
    """Return the settings of the streams that the venue has over WebSocket, or of these tables alone."""
    wanted: dict[str, Any] = {}
    for name, stream in STREAMS.items():
        offer = venue.offers.get(stream.table)
        if offer is None or "websocket" not in offer.sources or (tables and stream.table not in tables):
            continue
        (model, *_) = get_args(Streams.model_fields[stream.table].annotation)
        settings: dict[str, Any] = {"source": "websocket"} if "source" in model.model_fields else {}
        if stream.table == "recent_trades":
            settings["kind"] = kind or first_kind(offer)
        if stream.table == "klines":
            settings["intervals"] = ["1m"]
        if stream.table == "order_book":
            settings |= {"depth": 5, "interval": "1s"}
        wanted[name] = settings
    return wanted


def first_kind(offer: Offer) -> str:
    """Return the kind of trades of which most can be proven."""
    numbered = sorted(offer.refill.kinds) if offer.refill is not None else []
    return (*numbered, *offer.accepted.get("kind", ()), "aggregate")[0]


def feed_of(venue: Venue, *tables: str, kind: str = "", history: dict[str, str] | None = None) -> CryptoFeed:
    """Return a feed of this venue with `streams_of`, without a past unless it is given a `history`."""
    return feeds.parse(
        {
            "apiVersion": "cryptocdc.io/v1alpha1",
            "kind": "CryptoFeed",
            "metadata": {"name": "conformance"},
            "spec": {
                "exchange": venue.name,
                "symbols": {"names": list(venue.always_listed)},
                "streams": streams_of(venue, *tables, kind=kind),
                "history": history or {"klines": "0s"},
            },
        }
    )
