"""All dialects: what each lists, and how it is created for a market or a capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptocdc_simulator.capture import Capture, CaptureStreams, Frame
from cryptocdc_simulator.dialects import binance, binance_usdm, coinbase, okx
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.market.symbols import Instrument


@dataclass(frozen=True)
class Venue:
    """`api_path`: the prefix of the paths of the venue's REST API, also in a capture."""

    name: str
    instruments: tuple[Instrument, ...]
    api_path: str
    of_market: Callable[[Market, Faults], Dialect]
    frames: Callable[[Capture], list[Frame]]
    of_capture: Callable[[Capture, CaptureStreams, Faults], Dialect]


VENUES: tuple[Venue, ...] = (
    Venue(
        binance.NAME,
        binance.INSTRUMENTS,
        binance.PATH,
        binance.of_market,
        binance.frames_of,
        binance.of_capture,
    ),
    Venue(
        binance_usdm.NAME,
        binance_usdm.INSTRUMENTS,
        binance_usdm.PATH,
        binance_usdm.of_market,
        binance.frames_of,
        binance_usdm.of_capture,
    ),
    Venue(okx.NAME, okx.INSTRUMENTS, okx.PATH, okx.of_market, okx.frames_of, okx.of_capture),
    Venue(
        coinbase.NAME,
        coinbase.PRODUCTS,
        coinbase.PATH,
        coinbase.of_market,
        coinbase.frames_of,
        coinbase.of_capture,
    ),
)


def venue_of(capture: Capture) -> Venue:
    """Return the venue that a capture was recorded from. Raises ValueError."""
    for venue in VENUES:
        if capture.has_answers_below(venue.api_path):
            return venue
    known = ", ".join(f"{venue.api_path} of {venue.name}" for venue in VENUES)
    raise ValueError(f"{capture.folder}: a capture needs answers below one of {known}, such as that of /exchangeInfo")
