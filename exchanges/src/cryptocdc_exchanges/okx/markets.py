"""The markets that OKX lists, their states, and their volume. Source: public/instruments and market/tickers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_core.feed.symbols import is_symbol
from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_exchanges.okx import payloads, responses, swaps
from cryptocdc_exchanges.port import MAX_BODY_OF_ALL, Listing, Request

log = logging.getLogger(__name__)

_SPOT = "SPOT"
_KINDS = (_SPOT, swaps.KIND)
_STATES = {"live": MarketState.TRADING, "preopen": MarketState.PENDING, "test": MarketState.PENDING,
           "expired": MarketState.GONE}  # fmt: skip
"""All others, such as `suspend` and `rebase`, are kinds of a pause."""


class _Instrument(msgspec.Struct, rename={"symbol": "instId"}):
    symbol: str
    state: str

    @property
    def quote(self) -> str:
        """The quote currency: of BTC-USDT and of BTC-USDT-SWAP it is USDT."""
        return (*self.symbol.split("-"), "")[1]


class _Volume(msgspec.Struct, rename={"kind": "instType", "symbol": "instId", "in_currency": "volCcy24h"}):
    kind: str
    symbol: str
    last: str
    in_currency: str

    @property
    def quote(self) -> float:
        """What was traded in the quote currency. Of a swap OKX reports the base currency: it takes the last price."""
        traded = float(self.in_currency or 0)
        return traded if self.kind == _SPOT else traded * float(self.last or 0)


_instrument = msgspec.json.Decoder(_Instrument)
_volume = msgspec.json.Decoder(_Volume)


def listing(symbol: str | None) -> Sequence[Request[Listing]]:
    if symbol is not None:
        kind = swaps.KIND if swaps.is_swap(symbol) else _SPOT
        return [_of_instruments({"instType": kind, "instId": symbol})]
    return [_of_instruments({"instType": kind}) for kind in _KINDS]


def _of_instruments(params: Mapping[str, str]) -> Request[Listing]:
    return Request(
        "/api/v5/public/instruments", _read_listing, dict(params), 1, "public/instruments", MAX_BODY_OF_ALL
    )  # fmt: skip


def _read_listing(body: bytes, _: int) -> Listing:
    found = [payloads.decode(_instrument, part) for part in responses.data(body)]
    unusable = [it.symbol for it in found if not is_symbol(it.symbol)]
    if unusable:
        log.warning("exchange: %d listed names can't be captured, such as %.100r", len(unusable), unusable[0])
    return Listing(
        {
            it.symbol: Market(it.symbol, it.quote, _STATES.get(it.state, MarketState.HALTED))
            for it in found
            if is_symbol(it.symbol)
        }
    )


def quote_volumes() -> Sequence[Request[Mapping[str, float]]]:
    return [
        Request("/api/v5/market/tickers", _read_volumes, {"instType": kind}, 1, "market/tickers", MAX_BODY_OF_ALL)
        for kind in _KINDS
    ]


def _read_volumes(body: bytes, _: int) -> Mapping[str, float]:
    return {it.symbol: it.quote for it in (payloads.decode(_volume, part) for part in responses.data(body))}
