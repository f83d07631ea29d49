"""What OKX lists: spot markets such as BTC-USDT, and perpetual swaps such as BTC-USDT-SWAP, traded in contracts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import floor, log10
from typing import Any

from cryptocdc_simulator.market.decimals import trimmed
from cryptocdc_simulator.market.market import Listing
from cryptocdc_simulator.market.symbols import CATALOGUE, Instrument, perpetual

Json = dict[str, Any]
SPOT, SWAP = "SPOT", "SWAP"
_LOT_DECIMALS = 2  # swaps are traded in hundredths of a contract
_CONTRACT_WORTH = 1000  # of the quote currency, at most
_CURRENCY = re.compile(r"[A-Z0-9]{1,20}")


def spot(listed: Instrument) -> Instrument:
    return replace(listed, name=f"{listed.base}-{listed.quote}")


def swap(listed: Instrument) -> Instrument:
    exponent = floor(log10(_CONTRACT_WORTH / listed.price))
    return perpetual(listed, f"{listed.base}-{listed.quote}-SWAP", _LOT_DECIMALS, exponent)


_LISTED = tuple(listed for listed in CATALOGUE if _CURRENCY.fullmatch(listed.base))
INSTRUMENTS: tuple[Instrument, ...] = tuple(
    made for listed in _LISTED for made in ([spot(listed), swap(listed)] if listed.quote == "USDT" else [spot(listed)])
)


def swap_on(index: str) -> str:
    """The swap that follows an index; an index without one is not simulated."""
    return f"{index}-{SWAP}"


def new_instrument(parameters: Mapping[str, str]) -> Instrument:
    """`base`, `quote`, and `instType`, SPOT where it is not given; its worth is that of the catalogue's tenth entry."""
    base, quote, kind = parameters["base"].upper(), parameters["quote"].upper(), parameters.get("instType", SPOT)
    if not (_CURRENCY.fullmatch(base) and _CURRENCY.fullmatch(quote)):
        raise ValueError(f"base {base!r} or quote {quote!r} is not 1 to 20 letters and digits")
    if kind not in (SPOT, SWAP):
        raise ValueError(f"instType {kind!r} is none of SPOT, SWAP")
    return (spot if kind == SPOT else swap)(replace(CATALOGUE[9], base=base, quote=quote))


def kind_of(instrument: Instrument) -> str:
    return SWAP if instrument.perpetual else SPOT


def state_of(listing: Listing, now: int) -> str:
    """live, suspend, or preopen: listed, and not yet traded."""
    if not listing.trading:
        return "suspend"
    return "live" if now >= listing.tape.listed_ms else "preopen"


def instrument_info(listing: Listing, now: int) -> Json:
    """One entry of /public/instruments and of the channel `instruments`."""
    instrument = listing.instrument
    family, swaps = f"{instrument.base}-{instrument.quote}", instrument.perpetual
    lot = trimmed(1, instrument.quantity_decimals)
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "" if swaps else instrument.base,
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "1" if swaps else "",
        "ctType": "linear" if swaps else "",
        "ctVal": trimmed(1, -instrument.contract_exponent) if swaps else "",
        "ctValCcy": instrument.base if swaps else "",
        "expTime": "",
        "futureSettlement": False,
        "instFamily": family if swaps else "",
        "instId": instrument.symbol,
        "instType": kind_of(instrument),
        "lever": "100" if swaps else "10",
        "listTime": str(listing.tape.listed_ms),
        "lotSz": lot,
        "maxIcebergSz": "9999999999.0000000000000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "9999999999",
        "maxMktAmt": "" if swaps else "1000000",
        "maxMktSz": "1000000",
        "maxStopSz": "1000000",
        "maxTriggerSz": "9999999999.0000000000000000",
        "maxTwapSz": "9999999999.0000000000000000",
        "minSz": lot,
        "openType": "",
        "optType": "",
        "preMktSwTime": "",
        "quoteCcy": "" if swaps else instrument.quote,
        "ruleType": "normal",
        "settleCcy": instrument.quote if swaps else "",
        "state": state_of(listing, now),
        "stk": "",
        "tickSz": trimmed(1, instrument.price_decimals),
        "tradeQuoteCcyList": [] if swaps else [instrument.quote],
        "uly": family if swaps else "",
    }


def maintained(infos: list[Json], kind: str) -> list[Json]:
    """What is listed during a maintenance of `kind` instead of `infos`; these where there is none."""
    match kind:
        case "odd-market":
            return [{**info, "instId": "123-456", "baseCcy": "123", "quoteCcy": "456"} for info in infos[:1]]
        case "break":
            return [{**info, "state": "suspend"} for info in infos]
        case "empty":
            return []
    return infos
