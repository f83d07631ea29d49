"""Perpetual swaps: how their names differ, and what only they have: mark prices, open interest, liquidations.

Shapes: https://www.okx.com/docs-v5/en/#public-data-websocket
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from cryptocdc_core.catalogue.streams import LIQUIDATIONS, MARK_PRICES
from cryptocdc_core.rows.typed import LiquidationsRow, MarkPricesRow, OpenInterestRow
from cryptocdc_core.rows.versions import version
from cryptocdc_exchanges.checks import Time, amounts, fingerprint, not_future, signed

KIND = "SWAP"
_KNOWN_MS = 120_000
"""An index price comes at least once a minute, a funding rate every 30 to 90 s."""


def is_swap(symbol: str) -> bool:
    return symbol.endswith(f"-{KIND}")


def index_of(symbol: str) -> str:
    """Return the name of the index that a swap follows: BTC-USDT of BTC-USDT-SWAP, BTC-USD of BTC-USD_UM-SWAP."""
    return symbol.removesuffix(f"-{KIND}").partition("_")[0]


class Index(msgspec.Struct, gc=False, rename={"name": "instId", "price": "idxPx", "time": "ts"}):
    name: str
    price: str
    time: Time


class Funding(
    msgspec.Struct, gc=False,
    rename={"symbol": "instId", "rate": "fundingRate", "ends": "fundingTime", "time": "ts"},
):  # fmt: skip
    """`ends`: when the running period ends, whose rate this is."""

    symbol: str
    rate: str
    ends: Annotated[int, Meta(ge=1, le=2**53)]
    time: Time


class Mark(msgspec.Struct, gc=False, rename={"symbol": "instId", "price": "markPx", "time": "ts"}):
    symbol: str
    price: str
    time: Time


class MarkPrice(msgspec.Struct, gc=False):
    """A mark price, with the index price and the funding that were reported last before it."""

    mark: Mark
    index: Index
    funding: Funding

    table: ClassVar[str] = MARK_PRICES.table

    @property
    def symbol(self) -> str:
        return self.mark.symbol

    def row(self, now_ms: int) -> MarkPricesRow:
        """The funding is null from the end of a period until OKX has reported that of the next."""
        amounts((self.mark.price,))
        not_future(self.mark.time, now_ms)
        running = self.funding.ends > self.mark.time
        return MarkPricesRow(
            symbol=self.symbol, event_time=self.mark.time, mark_price=self.mark.price, index_price=self.index.price,
            funding_rate=(self.funding.rate or None) if running else None,
            next_funding_time=self.funding.ends if running else None, received_at=now_ms,
            version=version(self.mark.time),
        )  # fmt: skip


class Marks:
    """Joins the three channels that together are a mark price's row. What is kept of a swap is its last two parts."""

    def __init__(self) -> None:
        self._indexes: dict[str, Index] = {}
        self._fundings: dict[str, Funding] = {}

    def note_index(self, index: Index) -> None:
        """Raises Rejected."""
        amounts((index.price,))
        self._indexes[index.name] = index

    def note_funding(self, funding: Funding) -> None:
        """Raises Rejected."""
        if funding.rate:
            signed((funding.rate,))
        self._fundings[funding.symbol] = funding

    def joined(self, mark: Mark) -> list[MarkPrice]:
        """Return the event of a mark price; none while index or funding are unknown, or older than they ever are."""
        index, funding = self._indexes.get(index_of(mark.symbol)), self._fundings.get(mark.symbol)
        if index is None or funding is None or mark.time - min(index.time, funding.time) > _KNOWN_MS:
            return []
        return [MarkPrice(mark, index, funding)]


class OpenInterest(msgspec.Struct, gc=False, rename={"symbol": "instId", "in_currency": "oiCcy", "time": "ts"}):
    """OKX also reports it in contracts and in US dollars."""

    symbol: str
    in_currency: str
    time: Time

    def row(self, now_ms: int) -> OpenInterestRow:
        amounts((self.in_currency,))
        not_future(self.time, now_ms)
        return OpenInterestRow(
            symbol=self.symbol, event_time=self.time, open_interest=self.in_currency, received_at=now_ms,
            version=version(self.time),
        )  # fmt: skip


class _Order(
    msgspec.Struct, gc=False,
    rename={"position": "posSide", "price": "bkPx", "size": "sz", "loss": "bkLoss", "time": "ts"},
):  # fmt: skip
    side: Literal["buy", "sell"]
    price: str
    size: str
    time: Time
    position: str = ""
    loss: str = ""


class Liquidated(msgspec.Struct, gc=False, rename={"symbol": "instId"}):
    """The orders of one market."""

    symbol: str
    details: list[_Order]


class Liquidation(msgspec.Struct, gc=False):
    """Only one of a contract within a second is sent, and it has no id. `bkPx` is the price at which the position went
    to OKX, which does not report at what price it was then closed, and how much of it."""

    symbol: str
    order: _Order

    table: ClassVar[str] = LIQUIDATIONS.table

    def row(self, now_ms: int) -> LiquidationsRow:
        it = self.order
        amounts((it.price, it.size))
        not_future(it.time, now_ms)
        return LiquidationsRow(
            symbol=self.symbol, trade_time=it.time, side=it.side, price=it.price, quantity=it.size,
            liquidation_id=fingerprint(it.side, it.position, it.price, it.size, it.loss), average_price=None,
            filled_quantity=None, received_at=now_ms, version=version(it.time),
        )  # fmt: skip
