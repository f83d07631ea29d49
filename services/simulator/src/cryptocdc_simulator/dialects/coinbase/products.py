"""The products that Coinbase Exchange lists, such as BTC-USD."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cryptocdc_simulator.market.decimals import plain
from cryptocdc_simulator.market.market import Listing
from cryptocdc_simulator.market.symbols import CATALOGUE, Instrument

Json = dict[str, Any]
_CURRENCY = re.compile(r"[A-Z0-9]{1,20}")


def product(listed: Instrument, quote: str) -> Instrument:
    return replace(listed, quote=quote, name=f"{listed.base}-{quote}")


_QUIET = ("TRX", "LRC")  # minutes may pass without a trade
PRODUCTS: tuple[Instrument, ...] = tuple(
    replace(made, trades_per_second=0.02, fewest_a_slot=0.2) if made.base in _QUIET else made
    for listed in CATALOGUE
    if _CURRENCY.fullmatch(listed.base)
    for made in [product(listed, "USD" if listed.quote == "USDT" else listed.quote)]
)


def new_product(parameters: Mapping[str, str]) -> Instrument:
    """`base` and `quote`; prices and activity are those of the catalogue's tenth entry."""
    base, quote = parameters["base"].upper(), parameters["quote"].upper()
    if not (_CURRENCY.fullmatch(base) and _CURRENCY.fullmatch(quote)):
        raise ValueError(f"base {base!r} or quote {quote!r} is not 1 to 20 letters and digits")
    return product(replace(CATALOGUE[9], base=base), quote)


def product_info(listing: Listing) -> Json:
    """Return one entry of /products and of the channel `status`."""
    instrument = listing.instrument
    return {
        "id": instrument.symbol,
        "base_currency": instrument.base,
        "quote_currency": instrument.quote,
        "quote_increment": plain(1, instrument.price_decimals),
        "base_increment": plain(1, instrument.quantity_decimals),
        "display_name": instrument.symbol,
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online" if listing.trading else "offline",
        "status_message": "",
        "trading_disabled": not listing.trading,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def currencies(infos: Iterable[Json]) -> list[Json]:
    ids = sorted({info[side] for info in infos for side in ("base_currency", "quote_currency")})
    return [{"id": id, "name": id, "min_size": "0.00000001", "status": "online", "status_message": ""} for id in ids]


def maintained(infos: list[Json], kind: str) -> list[Json]:
    """Return what is listed instead of `infos` during maintenance of `kind`; `infos` if there is none."""
    match kind:
        case "odd-market":
            return [{**info, "id": "123-456", "base_currency": "123", "quote_currency": "456"} for info in infos[:1]]
        case "break":
            return [{**info, "status": "offline", "trading_disabled": True} for info in infos]
        case "empty":
            return []
    return infos
