"""The products that Coinbase Exchange lists, their states, and their volume.

Source: https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducts
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_core.feed.symbols import is_symbol
from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.coinbase.limits import REQUESTS
from cryptocdc_exchanges.port import MAX_BODY_OF_ALL, Listing, Request

log = logging.getLogger(__name__)

_STATES = {"online": MarketState.TRADING, "internal": MarketState.PENDING, "delisted": MarketState.GONE}
"""All others, such as `offline`, are kinds of a pause."""


class _Product(msgspec.Struct):
    """Without `limit_only`, in which limit orders are matched. In the three other modes there are no trades."""

    id: str
    quote_currency: str
    status: str
    trading_disabled: bool = False
    post_only: bool = False
    cancel_only: bool = False
    auction_mode: bool = False

    @property
    def state(self) -> MarketState:
        found = _STATES.get(self.status, MarketState.HALTED)
        paused = self.trading_disabled or self.post_only or self.cancel_only or self.auction_mode
        return MarketState.HALTED if paused and found is MarketState.TRADING else found


class _Day(msgspec.Struct):
    volume: str = "0"
    last: str = "0"


class _Stats(msgspec.Struct, rename={"day": "stats_24hour"}):
    day: _Day


def listing(symbol: str | None) -> Sequence[Request[Listing]]:
    if symbol is not None:
        return [Request(f"/products/{symbol}", _read_one, limit=REQUESTS)]
    return [Request("/products", _read_all, limit=REQUESTS, max_bytes=MAX_BODY_OF_ALL)]


def _read_one(body: bytes, _: int) -> Listing:
    return _listed([decoded(body, _Product)])


def _read_all(body: bytes, _: int) -> Listing:
    return _listed(decoded(body, list[_Product]))


def _listed(products: Sequence[_Product]) -> Listing:
    unusable = [it.id for it in products if not is_symbol(it.id)]
    if unusable:
        log.warning("exchange: %d listed names can't be captured, such as %.100r", len(unusable), unusable[0])
    return Listing({it.id: Market(it.id, it.quote_currency, it.state) for it in products if is_symbol(it.id)})


def quote_volumes() -> Sequence[Request[Mapping[str, float]]]:
    """The only response with volumes and prices of all products; documented only for single ones."""
    return [Request("/products/stats", _read_volumes, limit=REQUESTS, max_bytes=MAX_BODY_OF_ALL)]


def _read_volumes(body: bytes, _: int) -> Mapping[str, float]:
    found = decoded(body, dict[str, _Stats])
    return {product: float(stats.day.volume) * float(stats.day.last) for product, stats in found.items()}
