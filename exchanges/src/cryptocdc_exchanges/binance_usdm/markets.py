"""The listed perpetual contracts, their states, and their volume. Source: exchangeInfo and ticker/24hr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from cryptocdc_core.feed.symbols import is_symbol
from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_exchanges.binance.markets import WeightLimit, read_volumes, weight_limit
from cryptocdc_exchanges.binance_usdm.limits import WEIGHT
from cryptocdc_exchanges.checks import decoded
from cryptocdc_exchanges.port import MAX_BODY_OF_ALL, Listing, Request

_GONE = frozenset({"SETTLING", "DELIVERED", "CLOSE"})
"""A delisted perpetual contract stays in the list as SETTLING."""


class _Contract(msgspec.Struct, rename="camel"):
    symbol: str
    status: str
    quote_asset: str
    contract_type: str = ""
    onboard_date: int = 0

    @property
    def perpetual(self) -> bool:
        """PERPETUAL, TRADIFI_PERPETUAL; contracts with a delivery date have other types."""
        return self.contract_type.endswith("PERPETUAL")

    def state(self, now_ms: int) -> MarketState:
        if self.status == "TRADING":
            return MarketState.TRADING
        if self.status in _GONE:
            return MarketState.GONE
        announced = self.status == "PENDING_TRADING" and self.onboard_date > now_ms
        return MarketState.PENDING if announced else MarketState.HALTED


class _Info(msgspec.Struct, rename="camel"):
    symbols: list[_Contract]
    rate_limits: list[WeightLimit] = []


def listing(symbol: str | None) -> Sequence[Request[Listing]]:
    """The venue always returns all markets."""
    return [Request("/fapi/v1/exchangeInfo", partial(_read_listing, symbol), {}, 1, WEIGHT, MAX_BODY_OF_ALL)]


def _read_listing(symbol: str | None, body: bytes, now_ms: int) -> Listing:
    info = decoded(body, _Info)
    markets = {
        it.symbol: Market(it.symbol, it.quote_asset, it.state(now_ms))
        for it in info.symbols
        if it.perpetual and is_symbol(it.symbol) and symbol in (None, it.symbol)
    }
    return Listing(markets, weight_limit(info.rate_limits))


def quote_volumes() -> Sequence[Request[Mapping[str, float]]]:
    return [Request("/fapi/v1/ticker/24hr", read_volumes, {}, 40, WEIGHT, MAX_BODY_OF_ALL)]
